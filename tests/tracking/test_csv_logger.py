"""The table of metrics: columns that appear later, and runs that go on."""

from gqn_probe.tracking.csv_logger import MetricsTable


def test_columns_that_appear_later_are_empty_before(tmp_path):
    table = MetricsTable(tmp_path / "metrics.csv")
    table.log_metrics({"loss": 0.1}, step=0)
    table.log_metrics({"loss": 0.2, "accuracy": 1.0}, step=1)
    assert (tmp_path / "metrics.csv").read_text().split() == ["accuracy,loss,step", ",0.1,0", "1.0,0.2,1"]


def test_a_continued_run_drops_what_its_checkpoint_does_not_know(tmp_path):
    path = tmp_path / "metrics.csv"
    for step in range(3):
        table = MetricsTable(path, first_step=step)
        table.log_metrics({"loss": step / 10}, step=step)
    with path.open("a") as file:
        file.write("0.3")  # killed in the middle of a line
    MetricsTable(path, first_step=2).log_metrics({"loss": 0.5}, step=2)
    assert path.read_text().split() == ["loss,step", "0.0,0", "0.1,1", "0.5,2"]


def test_a_new_run_starts_empty(tmp_path):
    path = tmp_path / "metrics.csv"
    MetricsTable(path).log_metrics({"loss": 1.0}, step=0)
    MetricsTable(path)
    assert path.read_text() == ""
