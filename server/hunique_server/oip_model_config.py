"""What is true of a served model, in the words of Triton's model configuration."""

from hunique_proto.inference import model_configuration_pb2 as pb
from hunique_server.catalogue import Catalogue
from hunique_server.loaded_model import LoadedModel
from hunique_server.oip_metadata import PLATFORM, inputs, outputs

BACKEND = "hunique"
_TYPES = {"UINT8": pb.TYPE_UINT8, "FP32": pb.TYPE_FP32, "BYTES": pb.TYPE_STRING}


def model_config(model: LoadedModel, catalogue: Catalogue) -> pb.ModelConfig:
    """The configuration of a model, and what its name means there.

    Args:
        model: one of the catalogue's.
        catalogue: says which versions and further names there are.
    """
    manifest = model.manifest
    return pb.ModelConfig(
        name=manifest.name,
        platform=PLATFORM,
        backend=BACKEND,
        version_policy=pb.ModelVersionPolicy(specific=pb.ModelVersionPolicy.Specific()),
        max_batch_size=0,
        input=[
            pb.ModelInput(
                name=tensor.name,
                data_type=_TYPES[tensor.datatype],
                dims=tensor.shape,
                optional=True,
            )
            for tensor in inputs(manifest).values()
        ],
        output=[
            pb.ModelOutput(name=tensor.name, data_type=_TYPES[tensor.datatype], dims=tensor.shape)
            for tensor in outputs(manifest).values()
        ],
        parameters=_parameters(model, catalogue),
    )


def _parameters(model: LoadedModel, catalogue: Catalogue) -> dict[str, pb.ModelParameter]:
    name = model.identity.name
    aliases = sorted(alias for alias, meant in catalogue.aliases.items() if meant == name)
    values = {
        "version": model.identity.version,
        "model_sha256": model.sha256,
        "engine": model.identity.engine,
        "versions": ",".join(each.identity.version for each in catalogue.by_name[name]),
        "aliases": ",".join(aliases),
    }
    return {key: pb.ModelParameter(string_value=value) for key, value in values.items()}
