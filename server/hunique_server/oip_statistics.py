"""What the Open Inference Protocol tells of what models have done."""

from collections.abc import Iterable

from hunique_proto.inference import open_inference_pb2 as pb
from hunique_server.loaded_model import LoadedModel
from hunique_server.model_statistics import ModelStatistics, Tally


def write_statistics(models: Iterable[LoadedModel]) -> pb.ModelStatisticsResponse:
    """An entry for each."""
    return pb.ModelStatisticsResponse(model_stats=map(_of_model, models))


def _of_model(model: LoadedModel) -> pb.ModelStatistics:
    statistics = model.statistics
    return pb.ModelStatistics(
        name=model.identity.name,
        version=model.identity.version,
        last_inference=statistics.last_run_ms,
        inference_count=statistics.inference_count,
        execution_count=statistics.execution_count,
        inference_stats=_of_requests(statistics),
        batch_stats=[
            pb.InferBatchStatistics(batch_size=look_count, compute_infer=_duration(tally))
            for look_count, tally in sorted(statistics.runs.items())
        ],
    )


def _of_requests(statistics: ModelStatistics) -> pb.InferStatistics:
    return pb.InferStatistics(
        success=_duration(statistics.success),
        fail=_duration(statistics.fail),
        queue=_duration(statistics.queue),
        compute_input=_duration(statistics.compute_input),
        compute_infer=_duration(statistics.compute_infer),
        compute_output=_duration(statistics.compute_output),
    )


def _duration(tally: Tally) -> pb.StatisticDuration:
    return pb.StatisticDuration(count=tally.count, ns=tally.ns)
