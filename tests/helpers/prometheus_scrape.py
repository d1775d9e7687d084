"""A parsed response of `/metrics`."""

from collections.abc import Mapping

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families


class ScrapedMetrics:
    def __init__(self, text: str) -> None:
        self.families: Mapping[str, Metric] = {family.name: family for family in text_string_to_metric_families(text)}
        self.text = text
        self._samples: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
        for family in self.families.values():
            for sample in family.samples:
                key = sample.name, frozenset(sample.labels.items())
                assert key not in self._samples, f"duplicate sample: {key}"
                self._samples[key] = sample.value

    def value(self, name: str, **labels: str) -> float | None:
        """The sample with exactly these labels."""
        return self._samples.get((name, frozenset(labels.items())))

    def labelled(self, name: str, label: str) -> dict[str, float]:
        """The samples of this name by the value of one label, which must be unique."""
        found = [(dict(labels)[label], value) for (each, labels), value in self._samples.items() if each == name]
        assert len(dict(found)) == len(found)
        return dict(found)

    def total(self, name: str, **labels: str) -> float:
        """The sum of all samples that have these labels."""
        wanted = frozenset(labels.items())
        return sum(
            value for (each, sample_labels), value in self._samples.items() if each == name and wanted <= sample_labels
        )
