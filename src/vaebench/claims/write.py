"""Writes the ledger of a tier: claims.json and claims.md."""

import json
from pathlib import Path

from vaebench.claims.ledger import Judged, judge_all, verdict_counts
from vaebench.claims.ledger_text import to_markdown
from vaebench.claims.paper import load_paper_values
from vaebench.files import write_atomically
from vaebench.provenance.account import account, as_comment
from vaebench.provenance.stages import claims_digest
from vaebench.results.read import Results


def write_ledger(results: Results, paper_values: Path) -> list[Judged]:
    """Judge every claim and write claims.json and claims.md of the tier."""
    ledger = judge_all(results, load_paper_values(paper_values))
    made_from = account(results.runs["metrics_digest"], claims_digest(), paper_values)
    content = {
        "schema_version": 2,
        "tier": results.tier.tier,
        "made_from": made_from,
        "verdicts": verdict_counts([line for line in ledger if line.source == "paper"]),
        "claims": [line.model_dump() for line in ledger],
    }
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    write_atomically(results.layout.claims("json"), text.encode())
    page = to_markdown(results.tier.tier, ledger) + as_comment(made_from)
    write_atomically(results.layout.claims("md"), page.encode())
    return ledger
