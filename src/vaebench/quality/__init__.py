"""Sample quality: a classifier, and measures that compare its features of samples and of data."""

from vaebench.extras import require

# Some measures import what they need only when they are computed, after long work.
require("quality")
