"""What a server can say of each model that it has or could have."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from hunique_server.model_reference import ModelReference
from hunique_server.served_models import ServedModels


class State(StrEnum):
    """What a model does, in the words of Triton."""

    READY = "READY"
    """It is served."""
    LOADING = "LOADING"
    """It will be, if it passes its self-test."""
    UNLOADING = "UNLOADING"
    """It answers its last requests."""
    UNAVAILABLE = "UNAVAILABLE"
    """It lies in the repository and is not in memory."""


@dataclass(frozen=True)
class IndexEntry:
    """A model and what it does."""

    reference: ModelReference
    """Name and version."""
    state: State
    """What it does."""
    reason: str = ""
    """Why it is not ready."""


def list_models(
    models: ServedModels,
    loading: Iterable[ModelReference],
    on_disk: Iterable[ModelReference],
    failed: Collection[ModelReference],
) -> list[IndexEntry]:
    """Every model once, by name and version.

    Args:
        models: what is in memory.
        loading: what will be, if it passes.
        on_disk: what the repository holds.
        failed: whose last load failed.
    """
    entries = {
        reference: IndexEntry(
            reference,
            State.UNAVAILABLE,
            "its last load failed; the log says why" if reference in failed else "not loaded",
        )
        for reference in on_disk
    }
    for model in models.retiring:
        entries[model.reference] = IndexEntry(
            model.reference, State.UNLOADING, "answers its last requests"
        )
    for reference in loading:
        entries[reference] = IndexEntry(reference, State.LOADING, "being loaded")
    for model in models.catalogue.models:
        entries[model.reference] = IndexEntry(model.reference, State.READY)
    return [entries[reference] for reference in sorted(entries)]
