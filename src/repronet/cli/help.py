"""The pages of ``--help``: what a command does, the config groups with their choices, examples. Needs no torch."""

from __future__ import annotations

import textwrap

from repronet.cli.groups import GROUPS, choices

_OVERVIEW = """\
repronet - the classic convolutional networks, from layers whose gradients are
written out and proved

USAGE
  repronet train [OVERRIDE ...] [-m]     train a network and test it
  repronet eval run=DIR [OVERRIDE ...]   test the network of a finished run
  repronet list [GROUP ...]              the choices of each config group
  repronet COMMAND --help                the page of a command
  repronet --version

EXAMPLES
  repronet train
  repronet train model=lenet5 data=mnist optimizer.lr=0.05
  repronet eval run=runs/lenet5-mnist5k/2026-01-31_12-00-00-seed0-1a2b3c

EXIT CODES
  0 done; 1 failed; 2 bad input, said in one line; 130 interrupted
"""

_TRAIN = """\
repronet train - train a network, keep its best weights, test them once

USAGE
  repronet train [OVERRIDE ...] [-m] [--cfg job] [--config-dir DIR]
  repronet train resume=DIR

DESCRIPTION
  Trains on the training split, selects the weights with the lowest validation
  error and tests those once. Everything known of the run goes into a folder
  of its own below runs/: TensorBoard events, checkpoints, the resolved config,
  one row an epoch (history.csv) and the figures (result.json).

OVERRIDES
  GROUP=CHOICE takes another file of a config group; KEY=VALUE sets one value.
{groups}
  Values outside the groups:
    layers=custom|torch   whose layers: this project's or torch.nn's
    seed=0                of the weights, the order and the augmentation
    run_dir=PATH          a new or empty folder for the run
    resume=DIR            go on with a run that was stopped, alone
    debug=true            show the traceback of an error

OPTIONS
  -m, --multirun       one run for every combination of comma-separated values
  --cfg job            print the composed config and stop
  --config-dir DIR     find your own files beside ours: DIR/experiment/mine.yaml
  -h, --help           this page

EXAMPLES
  repronet train
  repronet train experiment=lenet5_1998_mnist5k
  repronet train -m seed=0,1,2 layers=custom,torch trainer.max_epochs=5
"""

_EVAL = """\
repronet eval - test the network of a run, from its folder alone

USAGE
  repronet eval run=DIR [OVERRIDE ...]

DESCRIPTION
  Rebuilds data and network from the run folder and prints the test error and
  loss of the chosen weights, to the last digit those of the run.

OVERRIDES
  run=DIR              the run folder
  checkpoint=best      best (lowest validation error) or last
  layers=custom|torch  other layers than the run had
  data_root=DIR        where the data lie now, when they have moved
  debug=true           show the traceback of an error

EXAMPLES
  repronet eval run=runs/lenet5-mnist5k/2026-01-31_12-00-00-seed0-1a2b3c
  repronet eval run=myrun checkpoint=last
  repronet eval run=myrun layers=torch
"""

_LIST = """\
repronet list - the choices of each config group

USAGE
  repronet list [GROUP ...]

GROUPS
{groups}

EXAMPLES
  repronet list
  repronet list models
  repronet list data optimizers
"""


def overview() -> str:
    """The page of ``repronet --help``."""
    return _OVERVIEW.rstrip()


def command_page(command: str) -> str:
    """The page of ``repronet COMMAND --help``."""
    if command == "train":
        return _TRAIN.format(groups=_group_lines()).rstrip()
    if command == "list":
        return _LIST.format(groups=textwrap.fill(", ".join(GROUPS), 78, initial_indent="  ", subsequent_indent="  "))
    return _EVAL.rstrip()


def _group_lines() -> str:
    width = max(map(len, GROUPS)) + 2
    return "\n".join(
        textwrap.fill(
            " ".join(choices(group)),
            78,
            initial_indent=f"    {group + '=':<{width}}",
            subsequent_indent=" " * (width + 4),
        )
        for group in GROUPS
    )
