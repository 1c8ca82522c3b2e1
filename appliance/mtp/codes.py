# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers of PTP (ISO 15740), MTP 1.1 and the Android extension, by the specifications' names.

A code that is not listed here is kept: it becomes a member named `UNKNOWN_xxxx` that compares and
prints like the others, so that a log shows what a client really sent.
"""

from typing import Self

from appliance.enums import IntEnum


class Code(IntEnum):
    """A number of the protocol; unlisted values become pseudo-members."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, int) or not 0 <= value <= 0xFFFFFFFF:
            return None
        member = int.__new__(cls, value)
        member._name_ = f"UNKNOWN_{value:04X}"
        member._value_ = value
        return member

    def __str__(self) -> str:
        return f"{self.name}({self.value:04X})"


class OperationCode(Code):
    """Operations (PTP 10, MTP 1.1 appendix D, Android extension)."""

    GET_DEVICE_INFO = 0x1001
    OPEN_SESSION = 0x1002
    CLOSE_SESSION = 0x1003
    GET_STORAGE_IDS = 0x1004
    GET_STORAGE_INFO = 0x1005
    GET_NUM_OBJECTS = 0x1006
    GET_OBJECT_HANDLES = 0x1007
    GET_OBJECT_INFO = 0x1008
    GET_OBJECT = 0x1009
    GET_THUMB = 0x100A
    DELETE_OBJECT = 0x100B
    SEND_OBJECT_INFO = 0x100C
    SEND_OBJECT = 0x100D
    INITIATE_CAPTURE = 0x100E
    FORMAT_STORE = 0x100F
    RESET_DEVICE = 0x1010
    SELF_TEST = 0x1011
    SET_OBJECT_PROTECTION = 0x1012
    POWER_DOWN = 0x1013
    GET_DEVICE_PROP_DESC = 0x1014
    GET_DEVICE_PROP_VALUE = 0x1015
    SET_DEVICE_PROP_VALUE = 0x1016
    RESET_DEVICE_PROP_VALUE = 0x1017
    TERMINATE_OPEN_CAPTURE = 0x1018
    MOVE_OBJECT = 0x1019
    COPY_OBJECT = 0x101A
    GET_PARTIAL_OBJECT = 0x101B
    INITIATE_OPEN_CAPTURE = 0x101C
    GET_PARTIAL_OBJECT_64 = 0x95C1
    SEND_PARTIAL_OBJECT = 0x95C2
    TRUNCATE_OBJECT = 0x95C3
    BEGIN_EDIT_OBJECT = 0x95C4
    END_EDIT_OBJECT = 0x95C5
    GET_OBJECT_PROPS_SUPPORTED = 0x9801
    GET_OBJECT_PROP_DESC = 0x9802
    GET_OBJECT_PROP_VALUE = 0x9803
    SET_OBJECT_PROP_VALUE = 0x9804
    GET_OBJECT_PROP_LIST = 0x9805
    SET_OBJECT_PROP_LIST = 0x9806
    GET_INTERDEPENDENT_PROP_DESC = 0x9807
    SEND_OBJECT_PROP_LIST = 0x9808
    GET_OBJECT_REFERENCES = 0x9810
    SET_OBJECT_REFERENCES = 0x9811
    SKIP = 0x9820


#: Operations whose data phase goes from the initiator to the responder. Over USB nothing in the
#: command says so, therefore also those are listed that this responder does not support.
SENDS_DATA = frozenset(
    {
        OperationCode.SEND_OBJECT_INFO,
        OperationCode.SEND_OBJECT,
        OperationCode.SET_DEVICE_PROP_VALUE,
        OperationCode.SEND_PARTIAL_OBJECT,
        OperationCode.SET_OBJECT_PROP_VALUE,
        OperationCode.SET_OBJECT_PROP_LIST,
        OperationCode.SEND_OBJECT_PROP_LIST,
        OperationCode.SET_OBJECT_REFERENCES,
    }
)


class ResponseCode(Code):
    """Responses (PTP 11, MTP 1.1 appendix F)."""

    UNDEFINED = 0x2000
    OK = 0x2001
    GENERAL_ERROR = 0x2002
    SESSION_NOT_OPEN = 0x2003
    INVALID_TRANSACTION_ID = 0x2004
    OPERATION_NOT_SUPPORTED = 0x2005
    PARAMETER_NOT_SUPPORTED = 0x2006
    INCOMPLETE_TRANSFER = 0x2007
    INVALID_STORAGE_ID = 0x2008
    INVALID_OBJECT_HANDLE = 0x2009
    DEVICE_PROP_NOT_SUPPORTED = 0x200A
    INVALID_OBJECT_FORMAT_CODE = 0x200B
    STORE_FULL = 0x200C
    OBJECT_WRITE_PROTECTED = 0x200D
    STORE_READ_ONLY = 0x200E
    ACCESS_DENIED = 0x200F
    NO_THUMBNAIL_PRESENT = 0x2010
    SELF_TEST_FAILED = 0x2011
    PARTIAL_DELETION = 0x2012
    STORE_NOT_AVAILABLE = 0x2013
    SPECIFICATION_BY_FORMAT_UNSUPPORTED = 0x2014
    NO_VALID_OBJECT_INFO = 0x2015
    INVALID_CODE_FORMAT = 0x2016
    UNKNOWN_VENDOR_CODE = 0x2017
    CAPTURE_ALREADY_TERMINATED = 0x2018
    DEVICE_BUSY = 0x2019
    INVALID_PARENT_OBJECT = 0x201A
    INVALID_DEVICE_PROP_FORMAT = 0x201B
    INVALID_DEVICE_PROP_VALUE = 0x201C
    INVALID_PARAMETER = 0x201D
    SESSION_ALREADY_OPEN = 0x201E
    TRANSACTION_CANCELLED = 0x201F
    SPECIFICATION_OF_DESTINATION_UNSUPPORTED = 0x2020
    INVALID_OBJECT_PROP_CODE = 0xA801
    INVALID_OBJECT_PROP_FORMAT = 0xA802
    INVALID_OBJECT_PROP_VALUE = 0xA803
    INVALID_OBJECT_REFERENCE = 0xA804
    GROUP_NOT_SUPPORTED = 0xA805
    INVALID_DATASET = 0xA806
    SPECIFICATION_BY_GROUP_UNSUPPORTED = 0xA807
    SPECIFICATION_BY_DEPTH_UNSUPPORTED = 0xA808
    OBJECT_TOO_LARGE = 0xA809
    OBJECT_PROP_NOT_SUPPORTED = 0xA80A


class EventCode(Code):
    """Events (PTP 12, MTP 1.1 appendix G)."""

    CANCEL_TRANSACTION = 0x4001
    OBJECT_ADDED = 0x4002
    OBJECT_REMOVED = 0x4003
    STORE_ADDED = 0x4004
    STORE_REMOVED = 0x4005
    DEVICE_PROP_CHANGED = 0x4006
    OBJECT_INFO_CHANGED = 0x4007
    DEVICE_INFO_CHANGED = 0x4008
    REQUEST_OBJECT_TRANSFER = 0x4009
    STORE_FULL = 0x400A
    DEVICE_RESET = 0x400B
    STORAGE_INFO_CHANGED = 0x400C
    CAPTURE_COMPLETE = 0x400D
    UNREPORTED_STATUS = 0x400E
    OBJECT_PROP_CHANGED = 0xC801
    OBJECT_PROP_DESC_CHANGED = 0xC802
    OBJECT_REFERENCES_CHANGED = 0xC803


class FormatCode(Code):
    """Object formats (PTP 6.2, MTP 1.1 appendix A)."""

    UNDEFINED = 0x3000
    ASSOCIATION = 0x3001
    SCRIPT = 0x3002
    EXECUTABLE = 0x3003
    TEXT = 0x3004
    HTML = 0x3005
    DPOF = 0x3006
    AIFF = 0x3007
    WAV = 0x3008
    MP3 = 0x3009
    AVI = 0x300A
    MPEG = 0x300B
    ASF = 0x300C
    UNDEFINED_IMAGE = 0x3800
    EXIF_JPEG = 0x3801
    TIFF_EP = 0x3802
    BMP = 0x3804
    GIF = 0x3807
    JFIF = 0x3808
    PICT = 0x380A
    PNG = 0x380B
    TIFF = 0x380D
    JP2 = 0x380F
    JPX = 0x3810
    DNG = 0x3811
    WMA = 0xB901
    OGG = 0xB902
    AAC = 0xB903
    FLAC = 0xB906
    WMV = 0xB981
    MP4_CONTAINER = 0xB982
    MP2 = 0xB983
    THREE_GP_CONTAINER = 0xB984
    ABSTRACT_AUDIO_ALBUM = 0xBA03
    ABSTRACT_AV_PLAYLIST = 0xBA05
    M3U_PLAYLIST = 0xBA11
    XML_DOCUMENT = 0xBA82
    MICROSOFT_WORD_DOCUMENT = 0xBA83
    MICROSOFT_EXCEL_SPREADSHEET = 0xBA85
    MICROSOFT_POWERPOINT_PRESENTATION = 0xBA86
    VCARD_2 = 0xBB82


class ObjectPropertyCode(Code):
    """Object properties (MTP 1.1 appendix B)."""

    STORAGE_ID = 0xDC01
    OBJECT_FORMAT = 0xDC02
    PROTECTION_STATUS = 0xDC03
    OBJECT_SIZE = 0xDC04
    ASSOCIATION_TYPE = 0xDC05
    ASSOCIATION_DESC = 0xDC06
    OBJECT_FILE_NAME = 0xDC07
    DATE_CREATED = 0xDC08
    DATE_MODIFIED = 0xDC09
    KEYWORDS = 0xDC0A
    PARENT_OBJECT = 0xDC0B
    HIDDEN = 0xDC0D
    PERSISTENT_UNIQUE_OBJECT_IDENTIFIER = 0xDC41
    NAME = 0xDC44
    DATE_ADDED = 0xDC4E
    NON_CONSUMABLE = 0xDC4F
    REPRESENTATIVE_SAMPLE_FORMAT = 0xDC81
    REPRESENTATIVE_SAMPLE_SIZE = 0xDC82
    REPRESENTATIVE_SAMPLE_HEIGHT = 0xDC83
    REPRESENTATIVE_SAMPLE_WIDTH = 0xDC84
    REPRESENTATIVE_SAMPLE_DATA = 0xDC86
    WIDTH = 0xDC87
    HEIGHT = 0xDC88
    DISPLAY_NAME = 0xDCE0


class DevicePropertyCode(Code):
    """Device properties (PTP 13, MTP 1.1 appendix C)."""

    UNDEFINED = 0x5000
    BATTERY_LEVEL = 0x5001
    DATE_TIME = 0x5011
    SYNCHRONIZATION_PARTNER = 0xD401
    DEVICE_FRIENDLY_NAME = 0xD402
    DEVICE_ICON = 0xD405
    SESSION_INITIATOR_INFO = 0xD406
    PERCEIVED_DEVICE_TYPE = 0xD407


class DataType(Code):
    """Types of values (MTP 1.1 section 3.2); bit 14 marks an array."""

    UNDEFINED = 0x0000
    INT8 = 0x0001
    UINT8 = 0x0002
    INT16 = 0x0003
    UINT16 = 0x0004
    INT32 = 0x0005
    UINT32 = 0x0006
    INT64 = 0x0007
    UINT64 = 0x0008
    INT128 = 0x0009
    UINT128 = 0x000A
    AINT8 = 0x4001
    AUINT8 = 0x4002
    AINT16 = 0x4003
    AUINT16 = 0x4004
    AINT32 = 0x4005
    AUINT32 = 0x4006
    AINT64 = 0x4007
    AUINT64 = 0x4008
    AINT128 = 0x4009
    AUINT128 = 0x400A
    STRING = 0xFFFF


class StorageType(Code):
    """Storage types (MTP 1.1 section 5.2.2.1)."""

    UNDEFINED = 0x0000
    FIXED_ROM = 0x0001
    REMOVABLE_ROM = 0x0002
    FIXED_RAM = 0x0003
    REMOVABLE_RAM = 0x0004


class FilesystemType(Code):
    """Filesystem types (MTP 1.1 section 5.2.2.2)."""

    UNDEFINED = 0x0000
    GENERIC_FLAT = 0x0001
    GENERIC_HIERARCHICAL = 0x0002
    DCF = 0x0003


class AccessCapability(Code):
    """Access capabilities of a storage (MTP 1.1 section 5.2.2.3)."""

    READ_WRITE = 0x0000
    READ_ONLY_WITHOUT_DELETION = 0x0001
    READ_ONLY_WITH_DELETION = 0x0002


class ProtectionStatus(Code):
    """Protection of an object (MTP 1.1 section 5.3.1)."""

    NONE = 0x0000
    READ_ONLY = 0x0001
    READ_ONLY_DATA = 0x8002
    NON_TRANSFERABLE_DATA = 0x8003


class AssociationType(Code):
    """Association types (MTP 1.1 section 3.6.1.1)."""

    UNDEFINED = 0x0000
    GENERIC_FOLDER = 0x0001


#: A root, "all" or "unspecified", by the operation's own text.
ALL = 0xFFFFFFFF
