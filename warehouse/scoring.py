"""How health scores are worked out, in words: kept with each score, and shown before the first.

docs/quality.md ("The score") has the formula with an example; `quality/score.py` works it out.
"""

OF_DATASET = (
    "100 * sum(part weight * part score) / sum(part weights); a part's score is the share of"
    " its checks that hold, weighted by severity"
)
OF_GROUP = "sum(dataset weight * dataset score) / sum(dataset weights), of the judged datasets"
