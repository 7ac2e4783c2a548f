"""What a network has learnt, computed: what excites a unit, where it looks, how images lie in its features.

Nothing here knows a run folder or a drawing: networks and images go in, tensors come out.
"""
