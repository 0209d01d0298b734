"""`python -m hunique_models.drawn`: write a drawn hand as a picture, to try things on."""

from pathlib import Path

import click
from PIL import Image

from hunique_models.drawn import CLASS_NAMES, VIEWS, draw_hand


@click.command()
@click.option("--seed", type=click.IntRange(min=0), default=7, show_default=True,
              help="Another number, another hand; the same number, the same bytes.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True,
              help="Where to write; the ending says the format, such as .png or .jpg.")  # fmt: skip
@click.option("--feature", "features", type=click.Choice(CLASS_NAMES), multiple=True,
              help="What to show; repeat it for several. Default: the lot decides.")  # fmt: skip
@click.option("--view", type=click.Choice(VIEWS), help="Default: the lot decides.")
def main(seed: int, out: Path, features: tuple[str, ...], view: str | None) -> None:
    """Draw a hand and say what is on it."""
    hand = draw_hand(seed, features=set(features) or None, view=view)
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        Image.fromarray(hand.pixels).save(out)
    except (OSError, ValueError) as error:
        raise click.ClickException(f"cannot write {out}: {error}") from error
    shown = [name for name, there in hand.labels.items() if there]
    click.echo(f"{out}: a drawn hand with {', '.join(shown) or 'none of the features'}")


if __name__ == "__main__":
    main()
