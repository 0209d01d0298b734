"""Where hands are, learned from pictures with hands and pictures without.

    pictures of both kinds -> small before others without hands -> frozen features -> one plane

No place is labelled: a picture is known to show a hand or none, and where it was put.
"""
