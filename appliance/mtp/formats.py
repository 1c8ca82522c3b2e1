# SPDX-License-Identifier: GPL-3.0-or-later
"""Object formats by a name's extension (MTP 1.1 appendix A).

Kept short on purpose: at each connect a widespread client asks one question for every format that
DeviceInfo lists.
"""

from appliance.mtp.codes import FormatCode

_BY_EXTENSION = {
    "txt": FormatCode.TEXT,
    "htm": FormatCode.HTML,
    "html": FormatCode.HTML,
    "wav": FormatCode.WAV,
    "mp3": FormatCode.MP3,
    "ogg": FormatCode.OGG,
    "flac": FormatCode.FLAC,
    "m4a": FormatCode.AAC,
    "avi": FormatCode.AVI,
    "mpg": FormatCode.MPEG,
    "mpeg": FormatCode.MPEG,
    "mp4": FormatCode.MP4_CONTAINER,
    "m4v": FormatCode.MP4_CONTAINER,
    "jpg": FormatCode.EXIF_JPEG,
    "jpeg": FormatCode.EXIF_JPEG,
    "bmp": FormatCode.BMP,
    "gif": FormatCode.GIF,
    "png": FormatCode.PNG,
    "tif": FormatCode.TIFF,
    "tiff": FormatCode.TIFF,
    "xml": FormatCode.XML_DOCUMENT,
}

#: What DeviceInfo lists: everything that an object here can be.
PLAYBACK_FORMATS = (
    FormatCode.UNDEFINED,
    FormatCode.ASSOCIATION,
    *sorted(set(_BY_EXTENSION.values())),
)


def format_of(name: str, *, is_folder: bool) -> FormatCode:
    """Return the format that an object of this name is reported with."""
    if is_folder:
        return FormatCode.ASSOCIATION
    _, dot, extension = name.rpartition(".")
    return _BY_EXTENSION.get(extension.lower() if dot else "", FormatCode.UNDEFINED)
