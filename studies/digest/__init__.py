"""Digests of trajectories: has a change of the code changed what is simulated, observed or rewarded?"""
