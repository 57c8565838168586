"""torchvision's detectors with exits, left by hooks, from a build to predictions: the whole path on real pictures."""

from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.detection.coco import read
from benchmarks.detection.one_size import OneSize
from benchmarks.detection.torchvision_detectors import ssdlite

import offramp
from offramp.errors import InputError
from offramp.exporting import export
from tests.builds import make

SIZE, TASK = (320, 320), "detection:present:1:0.3"


@pytest.mark.slow
def test_a_detector_of_torchvision_from_a_build_to_full_results(archive: Path, tmp_path: Path) -> None:
    pictures = torch.from_numpy(read(archive, SIZE, 96).pictures).permute(0, 3, 1, 2).float() / 255
    detector = OneSize(ssdlite()).eval()
    bundle = make(tmp_path / "b", model=detector, data=pictures, task=TASK, max_drop=0.4)
    assert (bundle.manifest.model.route, bundle.manifest.model.classes) == ("hooks", 2)
    loaded = offramp.Bundle.load(tmp_path / "b")
    some = pictures[:6]
    for point in bundle.points:
        found = loaded.use(point.name, detector)(some)
        who = found.at_backbone.tolist()
        with torch.no_grad():
            expected = detector(some[who]) if who else []
        for row, one in enumerate(expected):
            count = len(one["scores"])
            torch.testing.assert_close(found.full["boxes"][row, :count], one["boxes"], rtol=1e-3, atol=1e-3)
            assert not found.full["scores"][row, count:].any()
    assert np.isfinite(offramp.evaluate(bundle, offramp.open_source(some), batch_sizes=()).points[0].cost_ratio)
    with pytest.raises(InputError, match="captured model"):
        export(bundle, tmp_path / "stages")
