"""What the MNIST chapter claims, decided on its published runs."""

from __future__ import annotations

from functools import cache

from hdlib.display import Markdown
from hdlib.experiments import claim
from hdlib.experiments.claim import Claim
from hdlib.experiments.mnist.results import Published
from hdlib.experiments.mnist.verdicts import outliers, samples, spectrum

FEATURELESS = "simulated spectra without a gap"

CLAIMS: tuple[Claim[Published], ...] = (
    Claim(
        name="early-peak",
        says="Trace and largest eigenvalue rise more than tenfold within the first 50 steps and "
        "lose most of that again within the first epoch; but how far they rise is a matter of the "
        "seed.",
        evidence="From seed 42 they rise by a factor of {rise}, while the test accuracy goes from "
        "{before:.0%} to {after:.0%}, and at the end of the epoch {left} of that is left; from "
        "seed 43 they rise by {other}.",
        decide=spectrum.early_peak,
        seeds=2,
        null="none",
        refuted_by="a seed from which they are not highest within the first epoch.",
    ),
    Claim(
        name="late-sharpness",
        says="From the second epoch on the largest eigenvalue stays within a factor of two of its "
        "initial value, while the training loss falls by more than another factor of ten.",
        evidence="It is {late} times the initial value; the loss falls by a factor of {loss:.0f}.",
        decide=spectrum.late_sharpness,
        seeds=1,
        null="none",
        refuted_by="another seed that leaves this range after its first epoch.",
    ),
    Claim(
        name="negative-eigenvalues",
        says="The number of negative eigenvalues hardly changes; what changes is their size.",
        evidence="{share} of all are negative at every checkpoint, from seed 43 {other} in the "
        "first epoch; the lowest goes from {deepest:.1f} to {last:.2f}.",
        decide=spectrum.negative_eigenvalues,
        seeds=2,
        null="none",
        refuted_by="another seed in which their share changes as their size does.",
    ),
    Claim(
        name="plateaus",
        says="At step 50 n(ε) has a plateau at ten clusters, nine single eigenvalues and one "
        "cluster of everything else; but such a plateau alone says little.",
        evidence="It is over a factor of {ten:.1f} in ε, and over {later} at steps 100 and 200. "
        "At the last checkpoint there is one at six clusters over {six:.1f}, and at step 13,132 a "
        "longer one, over {three:.1f}, at three, because the largest few gaps of a heavy tail are "
        "far apart.",
        decide=spectrum.plateaus,
        seeds=1,
        null="plateaus at other checkpoints",
        refuted_by="a rule by which the length of a plateau tells outliers from a heavy tail.",
        replaces="“no other checkpoint of the four shown has a plateau like that of step 50”.",
    ),
    Claim(
        name="exact-zeros",
        says="One group of eigenvalues is zero at every checkpoint, by a symmetry of the read-out.",
        evidence="{demanded} have to be, and from seed 42 these are zero to rounding at every "
        "checkpoint, and no others. From seed 43 {more} are, once training has begun.",
        decide=spectrum.exact_zeros,
        seeds=2,
        null="what the symmetry demands",
        refuted_by="a checkpoint with fewer zeros than the symmetry demands.",
        replaces="“there is no cluster inside the bulk”; there is this one, which tells of the "
        "parametrisation and not of what was learned.",
    ),
    Claim(
        name="nine-in-the-read-out",
        says="Where nine outliers are, their eigenvectors live mostly in the read-out.",
        evidence="At step 50 of seed 42 they have {nine:.0%} of their weight there, those after "
        "them {after:.0%}; at steps 10 and 100 of seed 43 the nine have {other}.",
        decide=spectrum.nine_in_the_read_out,
        seeds=2,
        null="the eigenvectors after them",
        refuted_by="a seed whose early outliers have most of their weight in the convolutions.",
    ),
    Claim(
        name="spread-as-the-parameters",
        says="Before training and at its end the leading eigenvectors are spread over the layers "
        "roughly like the parameters, but for the first convolution, which gets more.",
        evidence="Shares of the 30 leading ones are at most {off:.0f} points off; the first "
        "convolution has {convolution}, with {own:.0%} of the parameters.",
        decide=spectrum.spread_as_the_parameters,
        seeds=1,
        null="shares of the parameters",
        refuted_by="another seed whose last leading eigenvectors keep to one layer.",
    ),
    Claim(
        name="filters-kept",
        says="The filters at the end are those of step 50 with twice the contrast.",
        evidence="Their standard deviation is {contrast:.2f} times as large, and {signs:.0%} of "
        "the signs are kept.",
        decide=spectrum.filters_kept,
        seeds=1,
        null="half of the signs, by chance",
        refuted_by="another seed that keeps half of the signs only.",
    ),
    Claim(
        name="repulsion",
        says="Neighbouring eigenvalues repel each other as those of random matrices do, and a "
        "tail that bends needs a higher score for a gap to stand out than a straight one.",
        evidence="The mean ratio of neighbouring spacings is {ratio:.3f} here, and {simulated} in "
        "the simulated spectra. 95 of 100 of these stay below {straight} where the tail is "
        "straight, and below {bent} with the tails of this run.",
        decide=outliers.repulsion,
        seeds=1,
        null="0.531 for random symmetric matrices, 0.386 for independent eigenvalues",
        refuted_by="a network whose spacings have the ratio of independent eigenvalues.",
        replaces="spacings were taken to be independent, which put the threshold at 7.6 and hid "
        "most of what follows.",
    ),
    Claim(
        name="nine-early",
        says="Within the first 200 steps the dendrogram shows nine outliers, one less than there "
        "are classes, in both networks.",
        evidence="From seed 42 the ninth gap has the highest score at steps {first}, from seed 43 "
        "at steps {second}; tested alone it stands out at steps {first_alone} from the one, "
        "{second_alone} from the other. At step 50 of seed 42 the score is {score:.1f}; the "
        "highest at any other checkpoint is {rest:.1f}.",
        decide=outliers.nine_early,
        seeds=2,
        null=FEATURELESS,
        refuted_by="more seeds in which the ninth gap does not stand out in the first 200 steps, "
        "or shuffled labels with which it appears as well.",
        replaces="“once, and then no more”, and that one seed cannot tell when; that was the "
        "wrong threshold, and the second run was there.",
    ),
    Claim(
        name="nine-not-always",
        says="The nine are not there at every early checkpoint, are gone from both networks after "
        "one epoch, and are not all learned.",
        evidence="From seed 42 a gap at rank {first} scores higher at step 100. From seed 43 the "
        "highest is at rank {peak} at step 50, where the ninth is weak ({weak:.1f}), and at rank "
        "{early} at step 200; but the ninth stands out before training, if it is tested alone "
        "({untrained:.1f}). After one epoch it scores {gone}.",
        decide=outliers.nine_not_always,
        seeds=2,
        null=FEATURELESS,
        refuted_by="more seeds in which the ninth gap comes after the start and stays.",
    ),
    Claim(
        name="late-gaps",
        says="After the first epoch 1,000 images show a gap here and there, of different ranks, "
        "from which nothing is drawn.",
        evidence="The search finds one with p below 0.05 at {search} of {count} checkpoints, "
        "where chance gives about {chance:.0f}; rank nine alone has {nine}. They are one network "
        "and the same images, so these checkpoints are not independent.",
        decide=outliers.late_gaps,
        seeds=1,
        null=FEATURELESS,
        refuted_by="other seeds in which one rank stands out at most of the late checkpoints.",
    ),
    Claim(
        name="second-level",
        says="Whether there is a second level of about K² eigenvalues is open.",
        evidence="Among the ranks where it may end {found} of {count} checkpoints have p below "
        "0.05, both from seed 43 (steps {steps}), where chance gives {chance:.1f}. From 10,000 "
        "and from all images there is a hint at step 50: high scores at ranks {ranks}, with p of "
        "{p}. The first images are among the second, the ranks differ, and fifteen spectra were "
        "searched.",
        decide=outliers.second_level_open,
        seeds=2,
        null=FEATURELESS,
        refuted_by="a second network that bears the hint out, or with as many images does not.",
        replaces="“there is none”.",
    ),
    Claim(
        name="gradient-inside",
        says="From step 50 on most of the gradient lies in the top ten eigenvectors, if one asks "
        "about the same images.",
        evidence="{start} of its squared norm does before training, {ten} at step 10; from step "
        "50 on at least {own:.0%} for the gradient over the Hessian's own images. For that over "
        "all training data at least {whole:.0%} until the last checkpoint but one, and "
        "{last_whole:.0%} at the last, where it is {last_own:.0%} for the own images. A random "
        "direction has {chance:.1%} inside.",
        decide=outliers.gradient_inside,
        seeds=1,
        null="a random direction",
        refuted_by="another seed that has less than half of the gradient inside, over own images.",
    ),
    Claim(
        name="space-moves",
        says="The space of the top ten eigenvectors does not stand still.",
        evidence="Successive checkpoints from step 50 on overlap by {successive}, the first epoch "
        "and the end by {far:.2f} at most; random spaces overlap by {chance:.3f}.",
        decide=outliers.space_moves,
        seeds=1,
        null="two random spaces",
        refuted_by="another seed whose late checkpoints keep the space of the first epoch.",
    ),
    Claim(
        name="single-images",
        says="At the end of training the original headline is the work of single images.",
        evidence="At one and the same point twenty draws of 50 images give largest eigenvalues of "
        "{largest}, and gaps of {gaps}; the quoted {quoted} and {quoted_gap} lie within. (The "
        "quoted {quoted_small:,} small eigenvalues are a little fewer than the {small} of the "
        "draws.) In the smallest nested sample one image carries {share:.1%} of the eigenvalue.",
        decide=samples.single_images,
        seeds=1,
        null="none",
        refuted_by="draws that still scatter so after the hardest hundredth of the training set "
        "is removed.",
    ),
    Claim(
        name="early-samples-agree",
        says="At step 50 no single image decides: any number of them shows the nine outliers.",
        evidence="From 50 to all 60,000 images the largest eigenvalue changes by {spread:.0%}, "
        "and each of the nine is within {off:.0%} of its place from all; {carry:,.0f} images "
        "carry the largest.",
        decide=samples.early_samples_agree,
        seeds=1,
        null="all training images",
        refuted_by="another seed whose early outliers come and go with the sample.",
    ),
    Claim(
        name="late-samples-differ",
        says="At the last checkpoint 1,000 images are too few: from all images the largest "
        "eigenvalue is far smaller, and hundreds of images carry it.",
        evidence="It is {thousand:.2f} from 1,000 images, of which {few:.0f} carry it, and "
        "{all:.2f} from all, of which {many:.0f} do, with a gap of {gap:.2f} to the next; the "
        "fifty hardest have {hardest:.0%} of it. Quoted, from 50: {quoted}.",
        decide=samples.late_samples_differ,
        seeds=1,
        null="all training images",
        refuted_by="another seed whose late spectra from 1,000 and from all images agree.",
    ),
    Claim(
        name="gradient-from-all",
        says="With all images in the Hessian the gradient is mostly inside its top ten "
        "eigenvectors at all three checkpoints, the last one included.",
        evidence="{all} of its squared norm is; at the last {last:.0%}, where it is {few:.0%} "
        "with 1,000 images.",
        decide=samples.gradient_from_all,
        seeds=1,
        null="a random direction",
        refuted_by="another seed with less than half inside at the last checkpoint.",
    ),
    Claim(
        name="nine-and-ten-are-back",
        says="With all images in the Hessian nine stand out at the end of the first epoch, and "
        "ten at the end of training if ten is tested alone.",
        evidence="After the epoch the ninth gap has the highest score from 10,000 images and from "
        "all ({epoch:.2f}), and stands out; from 1,000 nothing does. At the end the tenth has it "
        "from all ({last:.2f}): just below what the search asks for (p = {search:.3f}), and far "
        "above what a predicted rank needs (p ≤ {alone:.3f}). But nine was predicted as well as "
        "ten, and from 10,000 images neither stands out: for the end this is one indication, and "
        "no more.",
        decide=samples.nine_and_ten_are_back,
        seeds=1,
        null=FEATURELESS,
        refuted_by="another network in which they do not stand out from all images.",
        replaces="these gaps “do not stand out”, from the threshold that was wrong.",
    ),
    Claim(
        name="no-other-cluster",
        says="Beside the early nine there is no other cluster but the exact zeros.",
        evidence="Once training has begun single gaps do stand out from 1,000 images, at ranks "
        "{ranks}, each once; before it that at rank {untrained} from seed 43. That at rank {few} "
        "from 50 images after the first epoch sets apart what single images add.",
        decide=outliers.no_other_cluster,
        seeds=2,
        null=FEATURELESS,
        refuted_by="a gap at one rank that stands out again and again over seeds and samples of "
        "images.",
    ),
)


@cache
def published() -> Published:
    """The runs that decide, read once."""
    return Published()


def shown(*names: str) -> Markdown:
    """The claims of these names, or all, as a list.

    Raises:
        ValueError: if there is no claim of a name.
    """
    return claim.shown(CLAIMS, published(), *names)
