"""Where trained networks lie: on lines, planes and at random around them, and what is seen from there."""
