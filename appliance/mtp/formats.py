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
    "xml": FormatCode.XML_DOCUMENT,
    "doc": FormatCode.MICROSOFT_WORD_DOCUMENT,
    "xls": FormatCode.MICROSOFT_EXCEL_SPREADSHEET,
    "ppt": FormatCode.MICROSOFT_POWERPOINT_PRESENTATION,
    "aif": FormatCode.AIFF,
    "aiff": FormatCode.AIFF,
    "wav": FormatCode.WAV,
    "mp3": FormatCode.MP3,
    "wma": FormatCode.WMA,
    "ogg": FormatCode.OGG,
    "oga": FormatCode.OGG,
    "opus": FormatCode.OGG,
    "flac": FormatCode.FLAC,
    "m4a": FormatCode.AAC,
    "aac": FormatCode.AAC,
    "m3u": FormatCode.M3U_PLAYLIST,
    "m3u8": FormatCode.M3U_PLAYLIST,
    "pla": FormatCode.ABSTRACT_AV_PLAYLIST,  # what libmtp calls a playlist of references,
    "alb": FormatCode.ABSTRACT_AUDIO_ALBUM,  # and an album of them
    "avi": FormatCode.AVI,
    "mpg": FormatCode.MPEG,
    "mpeg": FormatCode.MPEG,
    "wmv": FormatCode.WMV,
    "mp4": FormatCode.MP4_CONTAINER,
    "m4v": FormatCode.MP4_CONTAINER,
    "3gp": FormatCode.THREE_GP_CONTAINER,
    "jpg": FormatCode.EXIF_JPEG,
    "jpeg": FormatCode.EXIF_JPEG,
    "jp2": FormatCode.JP2,
    "bmp": FormatCode.BMP,
    "gif": FormatCode.GIF,
    "png": FormatCode.PNG,
    "tif": FormatCode.TIFF,
    "tiff": FormatCode.TIFF,
    "dng": FormatCode.DNG,
    "webp": FormatCode.UNDEFINED_IMAGE,
    "heic": FormatCode.UNDEFINED_IMAGE,
    "heif": FormatCode.UNDEFINED_IMAGE,
    "avif": FormatCode.UNDEFINED_IMAGE,
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


def is_image(form: int) -> bool:
    """Whether a format is one of the image formats (appendix A: 0x38xx)."""
    return form & 0xFF00 == FormatCode.UNDEFINED_IMAGE
