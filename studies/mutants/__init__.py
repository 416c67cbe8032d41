"""One mechanism after the other is broken: which test notices?"""
