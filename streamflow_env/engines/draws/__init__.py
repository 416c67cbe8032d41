"""Random draws that both engines share: the hash, the distributions, and the stream of first attempts."""
