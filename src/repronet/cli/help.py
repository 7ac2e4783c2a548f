"""The pages of ``--help``: what a command does, the config groups with their choices, examples. Needs no torch."""

from __future__ import annotations

import textwrap

from repronet.config.groups import GROUPS, choices

_OVERVIEW = """\
repronet - the classic convolutional networks, from layers whose gradients are
written out and proved

USAGE
  repronet train [OVERRIDE ...] [-m]     train a network and test it
  repronet eval run=DIR [OVERRIDE ...]   test the network of a finished run
  repronet finetune compare weights=...  ways of fine-tuning side by side
  repronet reproduce EXPERIMENT          the run of a paper, and its record
  repronet predict run=DIR images=PATH   what the network takes pictures for
  repronet visualize run=DIR what=NAME   draw what the network has learnt
  repronet report [DIR ...]              runs beside each other and their papers
  repronet export run=DIR to=FORMAT      write the network for other programs
  repronet summary model=NAME            size, cost and receptive field by layer
  repronet verify [model=NAME]           hold the networks against their papers
  repronet gradcheck [layer=NAME]        prove the gradients of the layers
  repronet bench conv [KEY=VALUE ...]    time the algorithms of convolution
  repronet augment [KEY=VALUE ...]       draw what an augmentation does
  repronet data check data.root=DIR      look through a folder of pictures
  repronet schedule [OVERRIDE ...]       draw the learning rate of a run
  repronet find-rate [OVERRIDE ...]      find a learning rate to begin with
  repronet list [GROUP ...]              the choices of each config group
  repronet COMMAND --help                the page of a command
  repronet --version

EXAMPLES
  repronet train
  repronet train model=lenet5 data=mnist optimizer.lr=0.05
  repronet eval run=runs/lenet5-mnist5k/2026-01-31_12-00-00-seed0-1a2b3c

EXIT CODES
  0 done; 1 failed; 2 bad input, said in one line; 130 interrupted;
  143 terminated (SIGTERM, SIGUSR1), and the line says how to go on
"""

_TRAIN = """\
repronet train - train a network, keep its best weights, test them once

USAGE
  repronet train [OVERRIDE ...] [-m] [--cfg job] [--config-dir DIR]
  repronet train resume=DIR
  repronet train resume_sweep=DIR

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
    algorithm=auto        how our layers compute: auto, own, vendor, direct,
                          im2col, adjoint, fft (winograd is for 3×3 filters
                          alone); auto measures what is fastest
    label_smoothing=0.0   share of the target that all classes have alike
    dropout=null          share dropped before the classifier; null: the paper's
    budget=paper          of an experiment: smoke, minutes, hour, paper
    initialization=paper  of the weights: paper, he, xavier, lecun, normal
    weights=SOURCE        to begin with: a torchvision name (IMAGENET1K_V1), a
                          file, or a run folder
    deterministic=false   refuse what adds in no fixed order
    seed=0                of the weights, the order and the augmentation
    run_dir=PATH          a new or empty folder for the run
    resume=DIR            go on with a run that was stopped or killed, alone
    resume_sweep=DIR      run what is missing of a multirun, alone
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
  protocol=center      ten_crop or multi_scale: the mean over several views
  layers=custom|torch  other layers than the run had
  data_root=DIR        where the data lie now, when they have moved
  debug=true           show the traceback of an error

EXAMPLES
  repronet eval run=runs/lenet5-mnist5k/2026-01-31_12-00-00-seed0-1a2b3c
  repronet eval run=myrun checkpoint=last
  repronet eval run=myrun layers=torch
"""

_SUMMARY = """\
repronet summary - what every layer of a network costs and sees

USAGE
  repronet summary model=NAME [KEY=VALUE ...]

DESCRIPTION
  A row a layer: output shape; receptive field, its stride and padding; weights,
  neurons, connections, multiply-accumulates, memory of the output. Below, the
  totals, with the memory for training: what the backward pass needs, counted
  from what autograd saves, parameters, gradients and the optimizer's copies.
  Nothing is computed, so the largest network takes seconds and no memory.

KEYS
  model=lenet5         the network
  input=3,224,224      channels, height and width; the network's own if left out
  num_classes=10       the paper's if left out
  batch=1              images at a time, for the memory
  optimizer=sgd        sgd, nesterov (one copy; none with optimizer.momentum=0),
                       adam, adamw (two)
  layers=custom|torch  whose layers, for the memory of training
  depth=1              add up what lies below so many names of the path
  format=table         short figures in 80 columns; json, csv, md: exact ones
  debug=true           show the traceback of an error

EXAMPLES
  repronet summary model=lenet5
  repronet summary model=lenet5 input=3,32,32 batch=64 optimizer=adam
  repronet summary model=lenet5_1998 format=json
"""

_VERIFY = """\
repronet verify - hold every network against what its paper published

USAGE
  repronet verify [model=NAME]

DESCRIPTION
  Builds each network without memory for its weights and compares parameters to
  the last digit, multiply-accumulates within the printed rounding, the shape
  that leaves each stage, receptive fields, and connections where the paper
  counts them; also the exact sizes recorded with this version. A line a
  network, and below it what is not as expected; leaves with 1 if anything is.

KEYS
  model=resnet50       one network, with every check
  debug=true           show the traceback of an error

EXAMPLES
  repronet verify
  repronet verify model=lenet5_1998
"""

_GRADCHECK = """\
repronet gradcheck - prove the gradients of the layers, or of a network

USAGE
  repronet gradcheck [layer=NAME | model=NAME] [KEY=VALUE ...]

DESCRIPTION
  Compares every gradient of every layer, in float64, with torch.autograd's
  through a naive forward of plain operations, with central differences, and
  with torch's own layer; second derivatives as well. A row a layer and case
  shows the largest relative error of each; the last column is the verdict.
  With model=, compares the gradient of every parameter under our layers with
  that under torch's. Leaves with 1 if anything is wrong.

KEYS
  layer=conv2d         one layer's cases
  model=lenet5         a network
  algorithm=own        own, vendor, auto; direct, im2col, adjoint, winograd, fft
  details=true         a row for every gradient
  batch=4              pictures, for model=
  seed=0               of the numbers
  debug=true           show the traceback of an error

EXAMPLES
  repronet gradcheck
  repronet gradcheck layer=max_pool2d details=true
  repronet gradcheck layer=conv2d algorithm=im2col
  repronet gradcheck model=lenet5_1998
"""

_BENCH = """\
repronet bench - time the algorithms of convolution

USAGE
  repronet bench conv [KEY=VALUE ...]

DESCRIPTION
  Times each algorithm for one shape, or for every shape in a network: the
  forward pass and both gradients, in turn, the least of ten calls. A star marks
  what algorithm=auto would take; auto chooses for each of the three apart.

KEYS
  input=[N,C,H,W]      the pictures; [64,16,32,32], or as the network takes them
  filters=16           their number; kernel=3 is their side, or [3,5]
  stride=1 padding=1 dilation=1 groups=1
  model=lenet5         every convolution of a network, not of that one shape
  algorithms=[direct,im2col,adjoint,winograd,fft,vendor]
  dtype=float32        or float64, bfloat16
  memory_format=contiguous  or channels_last
  accelerator=cpu      or gpu
  threads=2            processor threads; as many as torch takes if left out

EXAMPLES
  repronet bench conv
  repronet bench conv input=[128,64,8,8] filters=64
  repronet bench conv input=[16,128,28,28] filters=128 groups=128
  repronet bench conv model=lenet5 input=[256,1,32,32]
"""

_AUGMENT = """\
repronet augment - draw pictures beside what an augmentation makes of them

USAGE
  repronet augment [data=NAME] [augmentation=NAME] [KEY=VALUE ...]

DESCRIPTION
  Writes a sheet: a row a picture, the original first. What is drawn depends on
  the seed alone.

KEYS
  data=mnist5k         whose pictures; data.root=DIR is where they lie
  augmentation=mnist   a policy: repronet list augmentation
  'augmentation.steps=[{op: rotate, degrees: 30, p: 0.5}, {op: fog}]'
                       your own, with any named policy of steps, lecture say
  images=4 variants=8  rows and columns
  each=true            a row for each step of the policy, alone and always
  size=224             pixels; the images' own, 224 for a folder, if left out
  seed=0
  out=augment.png      the sheet
  logdir=DIR           a TensorBoard folder, which gets the sheet too
  debug=true           show the traceback of an error

EXAMPLES
  repronet augment
  repronet augment data=cifar10 augmentation=lecture each=true
  repronet augment data=image_folder data.root=photos augmentation=inception
"""

_DATA = """\
repronet data - look through a folder of pictures before training on it

USAGE
  repronet data check data.root=DIR [KEY=VALUE ...]

DESCRIPTION
  Reads every file as a run would and names what is odd, with what a run does
  about it: what cannot be read, what lies in two splits, classes that are empty
  or in one split alone, strange files, how unusual pictures are read. Leaves
  with 1 if a run would stop or learn wrong.

KEYS
  data.root=DIR        train/<class>/… with val and test, or <class>/… alone
  format=table         or json, with every finding
  debug=true           show the traceback of an error

EXAMPLES
  repronet data check data.root=photos
  repronet data check data.root=photos format=json
"""

_FINETUNE = """\
repronet finetune compare - ways of fine-tuning side by side

USAGE
  repronet finetune compare weights=SOURCE [OVERRIDE ...]

DESCRIPTION
  Trains once a way and seed, on the same pictures and as many epochs, and ends
  with a table and a plot of the errors. The runs lie in one folder, which goes
  on with repronet train resume_sweep=DIR.

OVERRIDES
  those of repronet train, and
  ways=[scratch,head,all,discriminative,gradual,head_then_all]
  seeds=3              how many, from 0; or a list of them, seeds=[3,4]
  debug=true           show the traceback of an error

EXAMPLES
  repronet finetune compare model=resnet18 weights=IMAGENET1K_V1 \\
    data=image_folder data.root=photos trainer.max_epochs=10
  repronet finetune compare model=resnet20 weights=resnet20.th \\
    data=mnist data.per_class=20 ways=[scratch,all] seeds=[0,1]
"""

_PREDICT = """\
repronet predict - what a trained network takes pictures for

USAGE
  repronet predict run=DIR images=PATH [KEY=VALUE ...]

DESCRIPTION
  Names every picture with the network of a run, which needs nothing but its
  folder, and writes a table: the likeliest classes with their probabilities.
  A picture that cannot be read is named and left out.

KEYS
  run=DIR              the run folder
  images=PATH          a folder, a picture, a pattern ('new/*.jpg'), or a .txt
                       with a name a line
  out=predictions.csv  or .json
  top=5                classes a picture
  protocol=center      ten_crop (the corners, the middle, and their mirrors) or
                       multi_scale (ten crops at each of five sizes)
  sheet=FILE.png       draw the 25 least certain
  checkpoint=best      or last
  batch_size=64
  layers=custom|torch  whose layers
  debug=true           show the traceback of an error

EXAMPLES
  repronet predict run=myrun images=new
  repronet predict run=myrun images=new out=new.json sheet=unsure.png
"""

_VISUALIZE = """\
repronet visualize - draw what the network of a run has learnt

USAGE
  repronet visualize run=DIR what=NAME[,NAME ...] [KEY=VALUE ...]

DESCRIPTION
  Writes a PNG a drawing, and the same for TensorBoard.

    filters          the kernels of the first layer
    activations      what layers give for a picture
    deconvnet        what excites maps most, projected back to pixels, beside
                     what they see (Zeiler and Fergus 2014)
    receptive_field  what units can see, and how much of it matters
    guided           the gradient of a class, plain and guided
    gradcam          where the evidence for a class lies
    occlusion        what a grey square over each place does
    activation_maximization  the picture that a class answers to most
    tsne             the features of the last layer in the plane
    confusion        what each class is taken for
    loss_surface     the loss around the weights
    augmentations    training pictures and what is made of them
    curves           loss, error and rate by epoch

KEYS
  run=DIR              the run folder
  what=filters,tsne    or all
  split=val            whose pictures: train, val or test
  layer=layer2.0.conv1 whose maps; repronet summary names the layers
  images=500           pictures that are shown, or looked through
  maps=16              of a layer
  out=DIR              <run>/pictures if left out
  checkpoint=best      or last
  data_root=DIR        where the data lie now, when they have moved
  seed=0
  layers=custom|torch  whose layers
  debug=true           show the traceback of an error

EXAMPLES
  repronet visualize run=myrun what=all
  repronet visualize run=myrun what=deconvnet layer=layer3.0.conv2 maps=9
"""

_REPORT = """\
repronet report - runs beside each other and beside their papers

USAGE
  repronet report [DIR ...] [KEY=VALUE ...]

DESCRIPTION
  Prints the errors of the runs in and below the folders and writes one page
  with them, what their papers published, all curves together, what the curves
  say in words, what the configs differ in, the pictures of repronet visualize,
  and the environment. The page needs no other file and no network.
  Of a folder of records, as repronet reproduce leaves them in results/, it
  prints paper | ours ± deviation | z | budget and what the records say of the
  papers' claims, and writes both into results/README.md.
  Where no folder is named it takes results/ and runs/.

KEYS
  out=report.html
  debug=true           show the traceback of an error

EXAMPLES
  repronet report
  repronet report runs/sweeps/2026-01-31_12-00-00-1a2b3c out=sweep.html
"""

_REPRODUCE = """\
repronet reproduce - run the experiment of a paper and record what it came to

USAGE
  repronet reproduce EXPERIMENT [EXPERIMENT ...] [KEY=VALUE ...]

DESCRIPTION
  Trains every seed in runs/reproduced/EXPERIMENT/BUDGET/, tests once by the
  protocol of the paper, and writes one record a seed into results/: errors,
  every epoch, config, commit, versions, hardware, in what it differs from the
  paper, and a hash over all of that. Killed at any time, the same command goes
  on where it was and ends with the same figures; what has ended is not run
  again. repronet report results sets the records beside the papers.

KEYS
  seeds=1              how many, from 0; or a list of them, seeds=[3,4]
  budget=paper         a shorter schedule of the same shape: minutes (about
                       five, of two processor cores), hour (of one), or smoke
                       (one epoch of 20 images a class). What such a run comes
                       to is marked as not comparable with the paper
  data_root=DIR        where the data lie; the user's cache if left out
  threads=N            of the processor
  results=results      the folder of the records
  debug=true           show the traceback of an error

EXAMPLES
  repronet reproduce lenet5_mnist seeds=3
  repronet reproduce resnet20_cifar10 plain20_cifar10 budget=minutes
"""

_EXPORT = """\
repronet export - write the network of a run for other programs

USAGE
  repronet export run=DIR to=FORMAT [KEY=VALUE ...]

DESCRIPTION
  Writes the network in eval mode, reads it back as another program would, and
  keeps the file only if both answer alike.

KEYS
  run=DIR              the run folder
  to=onnx              a graph for other frameworks (pip install
                       'repronet[onnx]')
  to=torch_export      a torch.export program, .pt2
  to=safetensors       the weights, with the network's name
  to=torchvision       the weights under torchvision's keys, .pth
  out=FILE             <run>/<network> with the format's ending if left out
  checkpoint=best      or last
  debug=true           show the traceback of an error

EXAMPLES
  repronet export run=myrun to=onnx
  repronet export run=myrun to=safetensors out=pets.safetensors
"""

_FIND_RATE = """\
repronet find-rate - find the learning rate that a network stands

USAGE
  repronet find-rate [OVERRIDE ...]

DESCRIPTION
  Takes steps whose rate rises by a constant factor until the loss explodes,
  and draws the loss over the rate (L. N. Smith 2017, section 3.3). The rate of
  the steepest fall is one to begin with. Nothing is kept of the training.

OVERRIDES
  those of repronet train, and
  low=1e-5 high=10     the first rate and the last
  steps=200            how many are tried
  out=rate.png         the picture
  debug=true           show the traceback of an error

EXAMPLES
  repronet find-rate
  repronet find-rate model=resnet20 data=cifar10 data.batch_size=128
  repronet find-rate optimizer=adam high=1
"""

_SCHEDULE = """\
repronet schedule - draw the learning rate of a run before it is run

USAGE
  repronet schedule [OVERRIDE ...]

DESCRIPTION
  Takes the words of repronet train, prints the rate by epoch and draws it.

KEYS
  schedule=one_cycle   and its values; experiment=NAME for a whole recipe
  schedule.warmup_epochs=5  a rising, or lower, rate at the start
  trainer.max_epochs=40
  steps_per_epoch=100  what matters where a schedule counts in steps
  out=schedule.png     the picture
  debug=true           show the traceback of an error

EXAMPLES
  repronet schedule
  repronet schedule experiment=resnet20_cifar10 steps_per_epoch=352
  repronet schedule schedule=cosine schedule.warmup_epochs=5
"""

_LIST = """\
repronet list - the choices of each config group

USAGE
  repronet list [GROUP ...]
  repronet list experiment NAME

GROUPS
{groups}

EXAMPLES
  repronet list
  repronet list models
  repronet list data optimizers
  repronet list experiment resnet20_cifar10   # paper, figure, cost, deviations
"""


_PAGES = {
    "eval": _EVAL,
    "summary": _SUMMARY,
    "verify": _VERIFY,
    "gradcheck": _GRADCHECK,
    "bench": _BENCH,
    "augment": _AUGMENT,
    "data": _DATA,
    "schedule": _SCHEDULE,
    "find-rate": _FIND_RATE,
    "predict": _PREDICT,
    "finetune": _FINETUNE,
    "export": _EXPORT,
    "visualize": _VISUALIZE,
    "report": _REPORT,
    "reproduce": _REPRODUCE,
}


def overview() -> str:
    """The page of ``repronet --help``."""
    return _OVERVIEW.rstrip()


def command_page(command: str) -> str:
    """The page of ``repronet COMMAND --help``."""
    if command == "train":
        return _TRAIN.format(groups=_group_lines()).rstrip()
    if command == "list":
        return _LIST.format(groups=textwrap.fill(", ".join(GROUPS), 78, initial_indent="  ", subsequent_indent="  "))
    return _PAGES[command].rstrip()


def _group_lines() -> str:
    width = max(map(len, GROUPS)) + 2
    return "\n".join(
        textwrap.fill(
            _in_short(group),
            78,
            initial_indent=f"    {group + '=':<{width}}",
            subsequent_indent=" " * (width + 4),
        )
        for group in GROUPS
    )


def _in_short(group: str) -> str:
    names = list(choices(group))
    return " ".join(names) if len(names) < 20 else f"{len(names)} of them: repronet list {group}"
