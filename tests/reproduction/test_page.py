"""The page of results, and the records that are committed."""

from __future__ import annotations

import re

import pytest
from omegaconf import OmegaConf

from conftest import REPOSITORY
from made_up_records import made_up
from repronet.cli.commands.records import costs
from repronet.config.compose import checked, compose
from repronet.papers.claims import CLAIMS, Lower
from repronet.papers.cost import Cost, cost
from repronet.papers.experiments import EXPERIMENTS
from repronet.reproduction.page import distance, length, page, published, shown_error, shown_ours
from repronet.reproduction.record import HASH, Record, asked, digest, place, read_all, recipe, sealed

RESULTS = REPOSITORY / "results"


@pytest.fixture(scope="module")
def prices():
    return costs()


@pytest.fixture(scope="module")
def written(prices):
    """The page of records that stand where they belong."""

    def write(records):
        return page({RESULTS / f"{n}.json": record for n, record in enumerate(records)}, prices)

    return write


def test_a_row_has_paper_ours_distance_length_machine_and_reasons(written):
    records = [made_up("resnet20_cifar10", seed, error) for seed, error in enumerate((0.090, 0.091, 0.092))]
    text = written(records)
    (row,) = [line for line in text.splitlines() if line.startswith("| `resnet20_cifar10` |")]
    # (9.1 − 8.75) / 0.1
    assert row.startswith(
        "| `resnet20_cifar10` | 8.75 % | 9.10 ± 0.10 % (3) | +3.5 | paper: 3 epochs, 2 min | abacus |"
    )
    assert "stratified" in row


def test_a_short_budget_is_marked_and_has_no_distance():
    records = [made_up("resnet20_cifar10", seed, error, budget="hour") for seed, error in enumerate((0.1, 0.11))]
    assert length(records) == "hour: 3 epochs, 2 min, not comparable"
    assert distance(records) == "-"


def test_a_figure_of_another_network_is_shown_and_gives_no_distance():
    group = [made_up("lenet5_mnist", seed, error) for seed, error in enumerate((0.007, 0.008))]
    assert length(group) == "paper: 3 epochs, 2 min, not comparable"
    assert distance(group) == "-"


def test_short_runs_stand_apart_from_the_papers_figures(written):
    records = [made_up("resnet20_cifar10", budget="hour"), made_up("resnet56_cifar10", budget="hour", test_error=0.3)]
    text = written(records)
    figures, apart = text.split("## Claims")[0], text[text.index("## Does the machinery run?") :]
    assert "resnet20_cifar10" not in figures
    assert "| `resnet20_cifar10` | 8.75 % (1) | hour: 3 epochs, 2 min | abacus |" in apart
    begins = "| With shortcuts 56 layers err less than 20 | test error 30.00 % (1) against 8.75 % (1) (one seed each)"
    assert begins in apart
    claims = text[text.index("## Claims") : text.index("## What a difference takes")]
    assert "**NOT RUN** | no run of resnet56_cifar10 and resnet20_cifar10 |" in claims
    assert "Decided: 2 of 33." in claims  # what is counted


def test_every_claim_about_errors_says_what_it_takes(written):
    text = written([])
    table = text[text.index("## What a difference takes") : text.index("## Does the machinery run?")]
    depth = "| With shortcuts 56 layers err less than 20 | 1.78 points, the paper's | 0.25 and 0.28, assumed, from"
    assert f"{depth} 10,000 images | - | 2 seeds each, 4 days |" in table
    assert table.count("\n| ") == 1 + sum(isinstance(claim.shown_by, Lower) for claim in CLAIMS.values())


def test_another_machine_has_a_row_and_a_file_of_its_own(prices):
    ours, content = made_up("resnet20_cifar10"), made_up("resnet20_cifar10", test_error=0.09)
    del content["sha256"]
    theirs = sealed({**content, "hardware": {"gpu": "NVIDIA H200", "processor": "x", "torch_threads": 1}})
    here = place(RESULTS, "resnet20_cifar10", "paper", 0)
    text = page({here: ours, place(RESULTS, "resnet20_cifar10", "paper", 0, "NVIDIA H200"): theirs}, prices)
    rows = [line for line in text.splitlines() if line.startswith("| `resnet20_cifar10` |")]
    assert [row.split(" | ")[5] for row in rows] == ["NVIDIA H200", "abacus"]
    name = "resnet20_cifar10/paper-seed0-on-nvidia-h200"
    assert f"| [{name}]({name}.json) | 9.00 % |" in text
    assert "| [resnet20_cifar10/paper-seed0](resnet20_cifar10/paper-seed0.json) | 8.75 % |" in text


def test_seeds_of_two_configs_have_a_row_each(written):
    text = written([made_up("resnet20_cifar10"), made_up("resnet20_cifar10", 1, lr=0.2)])
    assert len([line for line in text.splitlines() if line.startswith("| `resnet20_cifar10` |")]) == 2


def test_a_key_that_came_later_and_is_null_makes_no_other_config(written):
    later = made_up("resnet20_cifar10", 1, 0.0885)
    config = {**later["config"], "image_size": None, "optimizer": {**later["config"]["optimizer"], "new": None}}
    later = resealed(later, config=config)
    (row,) = [
        line
        for line in written([made_up("resnet20_cifar10"), later]).splitlines()
        if line.startswith("| `resnet20_cifar10` |")
    ]
    assert "8.80 ± 0.07 % (2)" in row
    assert recipe(later) != recipe(resealed(later, config={**config, "image_size": 16}))
    assert recipe(later) == recipe(resealed(later, config={**config, "algorithm": "native"}))


def resealed(record: Record, config: dict) -> Record:
    content = {key: value for key, value in record.items() if key != HASH}
    return sealed({**content, "config": config, "config_sha256": digest(config)})


def test_a_figure_of_five_answers_is_said_and_not_held_against_one():
    group = [made_up("googlenet_imagenet", seed, error) for seed, error in enumerate((0.3, 0.31))]
    assert shown_error(published("googlenet_imagenet")) == "10.07 % top-5"
    assert (shown_ours(group), distance(group)) == ("30.50 ± 0.71 % (2) top-1", "-")


def test_a_figure_of_five_answers_is_compared_with_ours_of_five(written):
    group = [
        made_up("googlenet_imagenet", seed, 0.3, test_error_top5=top5) for seed, top5 in enumerate((0.1012, 0.1022))
    ]
    assert shown_ours(group) == "10.17 ± 0.07 % (2) top-5"
    assert distance(group) == "+1.4"  # (10.17 − 10.07) / 0.0707
    assert distance([made_up("googlenet_imagenet", seed, error) for seed, error in enumerate((0.3, 0.31))]) == "-"
    text = written(group)
    assert "| 10.07 % top-5 | 10.17 ± 0.07 % (2) top-5 |" in text
    assert "googlenet_imagenet/paper-seed1.json) | 30.00 % | 10.22 % | center |" in text


def test_the_mean_of_the_papers_runs_is_what_a_mean_is_compared_with():
    group = [made_up("resnet110_cifar10", seed, error) for seed, error in enumerate((0.066, 0.067, 0.068))]
    assert shown_error(published("resnet110_cifar10")) == "6.61 ± 0.16 % (5)"
    assert distance(group) == "+0.9"  # (6.7 − 6.61) / 0.1, and not from 6.43, the best


def test_what_was_not_run_stays_in_the_table_with_what_it_takes(prices):
    text = page({RESULTS: made_up("resnet20_cifar10")}, {**prices, "vgg16_imagenet": Cost("a week", 1.0)})
    missing = text[text.index("## Not run at full length") : text.index("## Runs")]
    assert "| `vgg16_imagenet` | 27 % | a week |" in missing
    assert missing.count("| `") == len(EXPERIMENTS) - 1


@pytest.mark.parametrize(
    "name", ["four_layer_bn_cifar10", "lenet5_1998_mnist5k", "densenet100_12_cifar10_plain", "senet154_imagenet"]
)
def test_costs_are_of_the_composed_configs(name, prices):
    run, config = EXPERIMENTS[name], compose("train", [f"experiment={name}"])
    batch = config.data.batch_size * config.trainer.accumulate_grad_batches
    assert prices[name] == cost(run.network, run.dataset, config.trainer.max_epochs, batch)


@pytest.fixture(scope="module")
def committed():
    return read_all(RESULTS)  # raises for one that was changed by hand


def test_the_page_is_written_from_the_committed_records(committed, prices):
    there = (RESULTS / "README.md").read_text(encoding="utf-8")
    assert there == page(committed, prices)  # else: repronet report results


@pytest.mark.slow
def test_committed_records_have_the_configs_that_their_experiments_have_today(committed):
    for record in committed.values():
        algorithm = f"algorithm={record['config']['algorithm']}"
        config = compose("train", [f"experiment={record['experiment']}", f"budget={record['budget']}", algorithm])
        plain = asked(OmegaConf.to_container(config, resolve=True))
        there = checked("train", OmegaConf.create({"seed": 0, **record["config"]}))
        assert asked(OmegaConf.to_container(there)) == plain, (record["experiment"], record["budget"])


def test_committed_records_are_of_a_commit_and_of_no_place(committed):
    assert committed
    for record in committed.values():
        assert re.fullmatch(r"[0-9a-f]{40}", record["commit"]), record["experiment"]
        assert "root" not in record["config"]["data"]
        assert record["experiment"] in EXPERIMENTS
