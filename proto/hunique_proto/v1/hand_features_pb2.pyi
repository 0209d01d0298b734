from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Detail(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DETAIL_UNSPECIFIED: _ClassVar[Detail]
    DETAIL_FAST: _ClassVar[Detail]
    DETAIL_STANDARD: _ClassVar[Detail]
    DETAIL_FINE: _ClassVar[Detail]

class Output(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTPUT_UNSPECIFIED: _ClassVar[Output]
    OUTPUT_MASK_PNG: _ClassVar[Output]
    OUTPUT_MASK_RLE: _ClassVar[Output]
    OUTPUT_POLYGON: _ClassVar[Output]
    OUTPUT_OVERLAY: _ClassVar[Output]
    OUTPUT_SCORES_ONLY: _ClassVar[Output]

class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STATUS_UNSPECIFIED: _ClassVar[Status]
    STATUS_PRESENT: _ClassVar[Status]
    STATUS_ABSENT: _ClassVar[Status]
    STATUS_NOT_ASSESSABLE: _ClassVar[Status]
    STATUS_SKIPPED: _ClassVar[Status]
DETAIL_UNSPECIFIED: Detail
DETAIL_FAST: Detail
DETAIL_STANDARD: Detail
DETAIL_FINE: Detail
OUTPUT_UNSPECIFIED: Output
OUTPUT_MASK_PNG: Output
OUTPUT_MASK_RLE: Output
OUTPUT_POLYGON: Output
OUTPUT_OVERLAY: Output
OUTPUT_SCORES_ONLY: Output
STATUS_UNSPECIFIED: Status
STATUS_PRESENT: Status
STATUS_ABSENT: Status
STATUS_NOT_ASSESSABLE: Status
STATUS_SKIPPED: Status

class SegmentRequest(_message.Message):
    __slots__ = ("image", "request_id", "classes", "outputs", "detail", "model")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    image: bytes
    request_id: str
    classes: _containers.RepeatedScalarFieldContainer[str]
    outputs: _containers.RepeatedScalarFieldContainer[Output]
    detail: Detail
    model: str
    def __init__(self, image: _Optional[bytes] = ..., request_id: _Optional[str] = ..., classes: _Optional[_Iterable[str]] = ..., outputs: _Optional[_Iterable[_Union[Output, str]]] = ..., detail: _Optional[_Union[Detail, str]] = ..., model: _Optional[str] = ...) -> None: ...

class SegmentResponse(_message.Message):
    __slots__ = ("request_id", "provenance", "findings", "overlay_jpeg")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    OVERLAY_JPEG_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    provenance: Provenance
    findings: _containers.RepeatedCompositeFieldContainer[ClassFinding]
    overlay_jpeg: bytes
    def __init__(self, request_id: _Optional[str] = ..., provenance: _Optional[_Union[Provenance, _Mapping]] = ..., findings: _Optional[_Iterable[_Union[ClassFinding, _Mapping]]] = ..., overlay_jpeg: _Optional[bytes] = ...) -> None: ...

class SegmentStreamResponse(_message.Message):
    __slots__ = ("request_id", "response", "error")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    response: SegmentResponse
    error: PictureError
    def __init__(self, request_id: _Optional[str] = ..., response: _Optional[_Union[SegmentResponse, _Mapping]] = ..., error: _Optional[_Union[PictureError, _Mapping]] = ...) -> None: ...

class PictureError(_message.Message):
    __slots__ = ("code", "message", "retry_after_ms")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    code: int
    message: str
    retry_after_ms: int
    def __init__(self, code: _Optional[int] = ..., message: _Optional[str] = ..., retry_after_ms: _Optional[int] = ...) -> None: ...

class Provenance(_message.Message):
    __slots__ = ("input_sha256", "input_size_bytes", "input_format", "raw_size", "upright_size", "exif_orientation", "frame_count", "colour_profile", "model", "detail", "look_count", "timings", "remarks", "hand_regions")
    INPUT_SHA256_FIELD_NUMBER: _ClassVar[int]
    INPUT_SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    INPUT_FORMAT_FIELD_NUMBER: _ClassVar[int]
    RAW_SIZE_FIELD_NUMBER: _ClassVar[int]
    UPRIGHT_SIZE_FIELD_NUMBER: _ClassVar[int]
    EXIF_ORIENTATION_FIELD_NUMBER: _ClassVar[int]
    FRAME_COUNT_FIELD_NUMBER: _ClassVar[int]
    COLOUR_PROFILE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    LOOK_COUNT_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    REMARKS_FIELD_NUMBER: _ClassVar[int]
    HAND_REGIONS_FIELD_NUMBER: _ClassVar[int]
    input_sha256: str
    input_size_bytes: int
    input_format: str
    raw_size: Size
    upright_size: Size
    exif_orientation: int
    frame_count: int
    colour_profile: str
    model: ModelIdentity
    detail: Detail
    look_count: int
    timings: Timings
    remarks: _containers.RepeatedScalarFieldContainer[str]
    hand_regions: _containers.RepeatedCompositeFieldContainer[Box]
    def __init__(self, input_sha256: _Optional[str] = ..., input_size_bytes: _Optional[int] = ..., input_format: _Optional[str] = ..., raw_size: _Optional[_Union[Size, _Mapping]] = ..., upright_size: _Optional[_Union[Size, _Mapping]] = ..., exif_orientation: _Optional[int] = ..., frame_count: _Optional[int] = ..., colour_profile: _Optional[str] = ..., model: _Optional[_Union[ModelIdentity, _Mapping]] = ..., detail: _Optional[_Union[Detail, str]] = ..., look_count: _Optional[int] = ..., timings: _Optional[_Union[Timings, _Mapping]] = ..., remarks: _Optional[_Iterable[str]] = ..., hand_regions: _Optional[_Iterable[_Union[Box, _Mapping]]] = ...) -> None: ...

class Size(_message.Message):
    __slots__ = ("width", "height")
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    width: int
    height: int
    def __init__(self, width: _Optional[int] = ..., height: _Optional[int] = ...) -> None: ...

class ModelIdentity(_message.Message):
    __slots__ = ("name", "version", "sha256", "engine", "runtime_versions")
    class RuntimeVersionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    sha256: str
    engine: str
    runtime_versions: _containers.ScalarMap[str, str]
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., sha256: _Optional[str] = ..., engine: _Optional[str] = ..., runtime_versions: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Timings(_message.Message):
    __slots__ = ("decode_ns", "queue_ns", "inference_ns", "postprocess_ns", "total_ns")
    DECODE_NS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_NS_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_NS_FIELD_NUMBER: _ClassVar[int]
    POSTPROCESS_NS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_NS_FIELD_NUMBER: _ClassVar[int]
    decode_ns: int
    queue_ns: int
    inference_ns: int
    postprocess_ns: int
    total_ns: int
    def __init__(self, decode_ns: _Optional[int] = ..., queue_ns: _Optional[int] = ..., inference_ns: _Optional[int] = ..., postprocess_ns: _Optional[int] = ..., total_ns: _Optional[int] = ...) -> None: ...

class ClassFinding(_message.Message):
    __slots__ = ("class_name", "status", "reason", "score", "presence_threshold", "instances")
    CLASS_NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    PRESENCE_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    INSTANCES_FIELD_NUMBER: _ClassVar[int]
    class_name: str
    status: Status
    reason: str
    score: float
    presence_threshold: float
    instances: _containers.RepeatedCompositeFieldContainer[Instance]
    def __init__(self, class_name: _Optional[str] = ..., status: _Optional[_Union[Status, str]] = ..., reason: _Optional[str] = ..., score: _Optional[float] = ..., presence_threshold: _Optional[float] = ..., instances: _Optional[_Iterable[_Union[Instance, _Mapping]]] = ...) -> None: ...

class Instance(_message.Message):
    __slots__ = ("index", "score", "box", "area_px", "mask_png", "mask_rle", "polygon", "measurements")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    BOX_FIELD_NUMBER: _ClassVar[int]
    AREA_PX_FIELD_NUMBER: _ClassVar[int]
    MASK_PNG_FIELD_NUMBER: _ClassVar[int]
    MASK_RLE_FIELD_NUMBER: _ClassVar[int]
    POLYGON_FIELD_NUMBER: _ClassVar[int]
    MEASUREMENTS_FIELD_NUMBER: _ClassVar[int]
    index: int
    score: float
    box: Box
    area_px: int
    mask_png: bytes
    mask_rle: Rle
    polygon: _containers.RepeatedCompositeFieldContainer[Ring]
    measurements: Measurements
    def __init__(self, index: _Optional[int] = ..., score: _Optional[float] = ..., box: _Optional[_Union[Box, _Mapping]] = ..., area_px: _Optional[int] = ..., mask_png: _Optional[bytes] = ..., mask_rle: _Optional[_Union[Rle, _Mapping]] = ..., polygon: _Optional[_Iterable[_Union[Ring, _Mapping]]] = ..., measurements: _Optional[_Union[Measurements, _Mapping]] = ...) -> None: ...

class Box(_message.Message):
    __slots__ = ("x_px", "y_px", "width_px", "height_px")
    X_PX_FIELD_NUMBER: _ClassVar[int]
    Y_PX_FIELD_NUMBER: _ClassVar[int]
    WIDTH_PX_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_PX_FIELD_NUMBER: _ClassVar[int]
    x_px: int
    y_px: int
    width_px: int
    height_px: int
    def __init__(self, x_px: _Optional[int] = ..., y_px: _Optional[int] = ..., width_px: _Optional[int] = ..., height_px: _Optional[int] = ...) -> None: ...

class Rle(_message.Message):
    __slots__ = ("size", "counts")
    SIZE_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    size: Size
    counts: str
    def __init__(self, size: _Optional[_Union[Size, _Mapping]] = ..., counts: _Optional[str] = ...) -> None: ...

class Ring(_message.Message):
    __slots__ = ("coordinates_px", "hole")
    COORDINATES_PX_FIELD_NUMBER: _ClassVar[int]
    HOLE_FIELD_NUMBER: _ClassVar[int]
    coordinates_px: _containers.RepeatedScalarFieldContainer[int]
    hole: bool
    def __init__(self, coordinates_px: _Optional[_Iterable[int]] = ..., hole: bool = ...) -> None: ...

class Measurements(_message.Message):
    __slots__ = ("centroid_x_px", "centroid_y_px", "major_axis_px", "minor_axis_px", "orientation_deg", "perimeter_px", "solidity", "mean_srgb", "area_share")
    CENTROID_X_PX_FIELD_NUMBER: _ClassVar[int]
    CENTROID_Y_PX_FIELD_NUMBER: _ClassVar[int]
    MAJOR_AXIS_PX_FIELD_NUMBER: _ClassVar[int]
    MINOR_AXIS_PX_FIELD_NUMBER: _ClassVar[int]
    ORIENTATION_DEG_FIELD_NUMBER: _ClassVar[int]
    PERIMETER_PX_FIELD_NUMBER: _ClassVar[int]
    SOLIDITY_FIELD_NUMBER: _ClassVar[int]
    MEAN_SRGB_FIELD_NUMBER: _ClassVar[int]
    AREA_SHARE_FIELD_NUMBER: _ClassVar[int]
    centroid_x_px: float
    centroid_y_px: float
    major_axis_px: float
    minor_axis_px: float
    orientation_deg: float
    perimeter_px: float
    solidity: float
    mean_srgb: _containers.RepeatedScalarFieldContainer[float]
    area_share: float
    def __init__(self, centroid_x_px: _Optional[float] = ..., centroid_y_px: _Optional[float] = ..., major_axis_px: _Optional[float] = ..., minor_axis_px: _Optional[float] = ..., orientation_deg: _Optional[float] = ..., perimeter_px: _Optional[float] = ..., solidity: _Optional[float] = ..., mean_srgb: _Optional[_Iterable[float]] = ..., area_share: _Optional[float] = ...) -> None: ...

class DescribeModelRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DescribeModelResponse(_message.Message):
    __slots__ = ("model", "classes", "input_size_px", "training_data_statement", "licence", "intended_use", "details", "input_formats", "max_image_bytes", "max_image_pixels")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    INPUT_SIZE_PX_FIELD_NUMBER: _ClassVar[int]
    TRAINING_DATA_STATEMENT_FIELD_NUMBER: _ClassVar[int]
    LICENCE_FIELD_NUMBER: _ClassVar[int]
    INTENDED_USE_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    INPUT_FORMATS_FIELD_NUMBER: _ClassVar[int]
    MAX_IMAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_IMAGE_PIXELS_FIELD_NUMBER: _ClassVar[int]
    model: ModelIdentity
    classes: _containers.RepeatedCompositeFieldContainer[ClassDescription]
    input_size_px: int
    training_data_statement: str
    licence: str
    intended_use: str
    details: _containers.RepeatedScalarFieldContainer[Detail]
    input_formats: _containers.RepeatedScalarFieldContainer[str]
    max_image_bytes: int
    max_image_pixels: int
    def __init__(self, model: _Optional[_Union[ModelIdentity, _Mapping]] = ..., classes: _Optional[_Iterable[_Union[ClassDescription, _Mapping]]] = ..., input_size_px: _Optional[int] = ..., training_data_statement: _Optional[str] = ..., licence: _Optional[str] = ..., intended_use: _Optional[str] = ..., details: _Optional[_Iterable[_Union[Detail, str]]] = ..., input_formats: _Optional[_Iterable[str]] = ..., max_image_bytes: _Optional[int] = ..., max_image_pixels: _Optional[int] = ...) -> None: ...

class ClassDescription(_message.Message):
    __slots__ = ("name", "definition", "presence_threshold", "pixel_threshold", "colour")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_FIELD_NUMBER: _ClassVar[int]
    PRESENCE_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    PIXEL_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    COLOUR_FIELD_NUMBER: _ClassVar[int]
    name: str
    definition: str
    presence_threshold: float
    pixel_threshold: float
    colour: str
    def __init__(self, name: _Optional[str] = ..., definition: _Optional[str] = ..., presence_threshold: _Optional[float] = ..., pixel_threshold: _Optional[float] = ..., colour: _Optional[str] = ...) -> None: ...
