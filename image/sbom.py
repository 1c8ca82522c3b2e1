# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of packages as an SPDX document (version 2.3, JSON), pure."""

import hashlib
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from image.packages import Package

_NO = "NOASSERTION"
_DOCUMENT = "SPDXRef-DOCUMENT"
_IMAGE = "SPDXRef-image"


def sbom(image: str, version: str, digest: str, packages: Sequence[Package], epoch: int) -> str:
    """Write the document of an image named `image`, with its SHA-256."""
    content = json.dumps([image, digest, [each.purl for each in packages]])
    name = hashlib.sha256(content.encode()).hexdigest()
    created = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    parts = [_package(each) for each in packages]
    contains = [_relation(_IMAGE, "CONTAINS", part["SPDXID"]) for part in parts]
    document = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": _DOCUMENT,
        "name": image,
        "documentNamespace": f"urn:sha256:{name}",
        "creationInfo": {"created": created, "creators": [f"Tool: mtp-appliance-{version}"]},
        "packages": [_image(image, version, digest), *parts],
        "relationships": [_relation(_DOCUMENT, "DESCRIBES", _IMAGE), *contains],
    }
    return json.dumps(document, indent=1) + "\n"


def _image(name: str, version: str, digest: str) -> dict[str, Any]:
    return _fields(_IMAGE, name, version) | {
        "checksums": [{"algorithm": "SHA256", "checksumValue": digest}],
        "primaryPackagePurpose": "OPERATING-SYSTEM",
    }


def _package(package: Package) -> dict[str, Any]:
    clean = re.sub(r"[^A-Za-z0-9.-]", "-", f"{package.kind}-{package.name}-{package.architecture}")
    found = _fields(f"SPDXRef-{clean}", package.name, package.version)
    if package.licence:
        found["licenseDeclared"] = package.licence
    if package.source:
        found["sourceInfo"] = f"built from {package.source}"
    reference = {
        "referenceCategory": "PACKAGE-MANAGER",
        "referenceType": "purl",
        "referenceLocator": package.purl,
    }
    return found | {"externalRefs": [reference]}


def _fields(identifier: str, name: str, version: str) -> dict[str, Any]:
    return {
        "SPDXID": identifier,
        "name": name,
        "versionInfo": version,
        "downloadLocation": _NO,
        "filesAnalyzed": False,
        "licenseConcluded": _NO,
        "licenseDeclared": _NO,
        "copyrightText": _NO,
    }


def _relation(one: str, kind: str, other: str) -> dict[str, str]:
    return {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}
