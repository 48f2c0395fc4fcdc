"""Figure 2: posterior means of runs that differ only in their seed."""

from vaebench.figures.scatter import scatter_row
from vaebench.figures.style import (
    Drawing,
    bound_text,
    first_seeds,
    number_word,
    objective_name,
    runs_text,
)
from vaebench.results.read import Results, Selection


def draw(results: Results, shown: Selection) -> Drawing:
    """Up to three scatter plots side by side, each with its bound."""
    rows = first_seeds(shown.runs, 3)
    figure = scatter_row(results, rows, lambda row: f"seed {row['seed']}: {bound_text(row)}")
    objective = rows.iloc[0]["objective"]
    is_learned = objective == "learned"
    how = "with learned posterior variances" if is_learned else f"trained with {objective}"
    caption = (
        "Posterior means of the test set in a two-dimensional latent space, coloured by label, "
        f"{how}, for runs that differ in their seed alone. "
        f"Shown: {runs_text(rows)}."
    )
    count = f"{number_word(len(rows)).lower()} run{'s' if len(rows) > 1 else ''}"
    method = "learned variances" if is_learned else objective_name(objective)
    return Drawing(figure, caption, rows, f"Posterior means of {count}, {method}")
