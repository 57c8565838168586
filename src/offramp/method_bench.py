"""What all recipes of a comparison share: backbone, data, and where caches are kept."""

from dataclasses import dataclass
from pathlib import Path

from offramp.heads.head import Head
from offramp.load.models import LoadedModel, load_model
from offramp.load.small import entry_of
from offramp.load.sources import open_source
from offramp.method_config import MethodConfig
from offramp.model.backbone import Backbone
from offramp.model.points import analyse
from offramp.pipeline import example_of
from offramp.reading import reader
from offramp.sources import Source
from offramp.split import Parts
from offramp.tasks.classification import Classification


@dataclass(frozen=True, eq=False)
class Bench:
    """What all recipes share: the backbone, the data, and where caches are kept.

    Attributes:
        config: what is asked for.
        backbone: analysed.
        source: the data that is divided.
        extra: unlabelled inputs.
        report: the data on which all is reported; None: the report part of `source`.
        work: folder of caches and checkpoints.
        small: the small model as a head at the input, for recipes that need one.
    """

    config: MethodConfig
    backbone: Backbone
    source: Source
    extra: tuple[Source, ...]
    report: Source | None
    work: Path
    small: Head | None = None

    @classmethod
    def of(cls, config: MethodConfig, work: Path, device: str = "cpu") -> "Bench":
        """Loads what the config names; backbone and heads run on `device`.

        Raises:
            DataError: if the data have no labels, which the comparison reports.
        """
        loaded: LoadedModel = load_model(config.backbone, config.weights)
        loaded.model.to(device)
        source = open_source(config.data, loaded.preprocess)
        extra = tuple(open_source(one, loaded.preprocess) for one in config.extra_data)
        report = None if config.report_data is None else open_source(config.report_data, loaded.preprocess)
        for one in (source, *([] if report is None else [report])):
            one.labels()
        backbone = analyse(loaded.model, example_of(source), reader(Classification()))
        small = None
        if config.small is not None:
            first = load_model(config.small, config.small_weights)
            small = entry_of(first, loaded.preprocess, backbone, reader(Classification()))
        return cls(config, backbone, source, extra, report, work, small)

    def parts(self, seed: int) -> Parts:
        """The four parts of the data."""
        return self.config.split.divide(len(self.source), seed)
