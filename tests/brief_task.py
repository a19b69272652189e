"""``digits-ddpm`` judged on a few samples, by attackers of a few steps, for tests of what surrounds an evaluation."""

from unlearnbench.benchmark.records.assets import AssetFolder
from unlearnbench.tasks.digits_ddpm import DigitsDDPM


class BriefDDPM(DigitsDDPM):
    """Shares weights and judges with the task proper."""

    name = "brief-ddpm"
    judges_from = "digits-ddpm"
    budget = DigitsDDPM.budget.brief()

    @property
    def assets(self) -> AssetFolder:
        return self.judge_assets

    def sample_counts(self) -> dict[str, int]:
        return {"forget": 60, "retain": 72, "null": 60}
