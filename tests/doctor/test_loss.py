"""check_loss: what a loss teaches is read off its gradient, and each planted fault is found once, by its own code."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from masklab.doctor import check_loss
from masklab.doctor.rows import read_rows
from masklab.text import word_positions
from tests.doctor.zoo_losses import EOS, EVEN, B, Case, L, V, of_ours, token_mean
from tests.strategies import seeds, sides

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


def mean(losses, labels):
    return losses.sum() / (labels != -100).sum()


# --- Healthy ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", EVEN)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("side", ["right", "left"])
def test_a_healthy_loss_gives_no_finding(loss, dtype, side):
    for seed in range(20):
        case = Case(seed, dtype=dtype, side=side)
        report = case.check(loss(case))
        assert report.findings == (), report
        assert report.checked[1:2] == ("it is the next token",)


@pytest.mark.parametrize("steps", [1, 16, 200])
@pytest.mark.parametrize("scale", [1.0, 8.0, 20.0, 60.0])
def test_gradients_that_half_precision_hardly_holds_are_no_fault(scale, steps):
    """Near 6e-8 float16 has few digits, and below it none: such rows can't be read, and are not called strange."""
    for seed in range(20):
        case = Case(seed, dtype=torch.float16, scale=scale)
        report = case.check(token_mean(case) / steps)
        assert report.ok and set(report.codes) <= {"nothing-supervised"}, report


def sequence_mean(case):
    count = (case.labels >= 0).sum(1)
    return (case.losses().sum(1) / count).mean()


def class_weights(case):
    weights = torch.linspace(0.5, 2, V, dtype=case.logits.dtype)
    return F.cross_entropy(case.logits.flatten(0, 1), case.labels.flatten(), weight=weights)


def focal(case):
    losses = case.losses()
    return mean((1 - (-losses).exp()) ** 2 * losses, case.labels)


def curriculum(case):
    weights = torch.rand(B, L, generator=torch.Generator().manual_seed(1))
    return (case.losses() * weights).sum() / (weights * (case.labels >= 0)).sum()


def unlikelihood(case):
    return (case.losses() * torch.tensor([[1.0], [-1.0], [1.0]])).sum() / (case.labels >= 0).sum()


@pytest.mark.parametrize(("loss", "words"), [
    (sequence_mean, "each sentence weighs by itself"), (class_weights, "by the label (class weights)"),
    (focal, "a focal loss, γ = 2"), (curriculum, "weights of tokens"), (unlikelihood, "not to say its label"),
])  # fmt: skip
def test_weights_that_differ_on_purpose_earn_a_note_that_says_what_they_go_by(loss, words):
    for seed in range(20):
        case = Case(seed)
        if loss is class_weights:  # some labels must come twice
            case.labels = case.labels.where(case.labels < 0, case.labels % 4 + 2)
            case.ids = torch.cat([case.ids[:, :1], case.labels[:, :-1].clamp(min=0)], dim=1)
            report = case.check(loss(case), eos=None)
        else:
            report = case.check(loss(case))
        assert report.ok and report.codes == ("uneven-weights",) and words in report.findings[0].says, report


def test_weights_are_said_as_fractions():
    """FACTS: lengths 6 and 2, the mean of means weighs a word .083 and .25."""
    logits = torch.zeros(2, 6, V, requires_grad=True)
    ids = torch.arange(2, 14).reshape(2, 6)
    labels = ids.clone()
    labels[1, 2:] = -100
    losses = F.cross_entropy(logits.transpose(1, 2), labels, reduction="none")
    says = check_loss((losses.sum(1) / (labels >= 0).sum(1)).mean(), logits, ids=ids).findings[-1].says
    assert "between 1/12 and 1/4" in says


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("share", [0.05, 0.1, 0.3])
def test_label_smoothing_is_read(dtype, share):
    for seed in range(20):
        case = Case(seed, dtype=dtype)
        loss = F.cross_entropy(case.logits.flatten(0, 1), case.labels.flatten(), label_smoothing=share)
        report = case.check(loss)
        said = [one.split()[0] for one in report.checked if "spread over all classes" in one]
        assert report.findings == () and float(*said) == pytest.approx(share, rel=0.05), report


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_a_z_loss_is_read(dtype):
    case = Case(dtype=dtype)
    z = case.logits.logsumexp(-1).square()[case.labels >= 0].mean()
    report = case.check(token_mean(case) + 1e-2 * z)
    assert report.findings == () and "a further term pulls on all logits (a z-loss)" in report.checked, report


def test_prompts_may_be_masked():
    """The prompt is not learned, its own ends neither; the completion is, with its end."""
    case = Case()
    case.ids[:, 1] = EOS
    labels = case.labels.clone()
    labels[:, :2] = -100
    report = case.check(F.cross_entropy(case.logits.flatten(0, 1), labels.flatten()))
    assert report.ok and set(report.codes) <= {"nothing-supervised"}, report


def test_repeated_words_make_no_shift():
    case = Case()
    for ids in (torch.full((B, L), 5), torch.tensor([5, 6]).repeat(B, L // 2)):
        loss = F.cross_entropy(case.logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
        assert check_loss(loss, case.logits, ids=ids).findings == ()


def test_labels_of_another_kind_have_no_shift():
    """A tagger, or a masked language model whose input has [MASK]."""
    case = Case()
    tags = torch.randint(0, 5, (B, L), generator=torch.Generator().manual_seed(0))
    report = case.check(F.cross_entropy(case.logits.transpose(1, 2), tags.masked_fill(~case.pad, -100)))
    assert report.findings == () and any("no shift" in one for one in report.checked)
    hidden = torch.rand(B, L, generator=torch.Generator().manual_seed(0)) < 0.5
    corrupted = case.ids.masked_fill(hidden, V - 1)
    loss = F.cross_entropy(case.logits.transpose(1, 2), case.ids.masked_fill(~(hidden & case.pad), -100))
    assert case.check(loss, ids=corrupted, eos=None).findings == ()


@given(seeds, st.sampled_from(DTYPES), st.integers(3, 40), st.floats(0, 8), sides)
@settings(max_examples=60)
def test_labels_and_weights_are_read_as_they_are(seed, dtype, classes, scale, side):
    """Any labels, any positive weights, any sureness of the model."""
    g = torch.Generator().manual_seed(seed)
    logits = (scale * torch.randn(2, 5, classes, generator=g)).to(dtype).requires_grad_()
    labels = torch.randint(0, classes, (2, 5), generator=g)
    weights = torch.rand(2, 5, generator=g) + 0.1
    mask = word_positions(torch.randint(1, 6, (2,), generator=g), total=5, side=side)
    losses = F.cross_entropy(logits.transpose(1, 2).float(), labels, reduction="none")
    slopes = torch.autograd.grad((losses * weights * mask).sum(), logits)[0]
    rows = read_rows(logits, slopes)
    known = rows.read & (1 - rows.p > 0.05)
    assert not (rows.alive & ~mask).any() and (rows.read == rows.alive).all()
    assert torch.equal(rows.label[known], labels[known])
    torch.testing.assert_close(rows.weight[known].float(), weights[known], rtol=0.06, atol=0)
    sharp = logits.detach().float().softmax(-1).amax(-1) < 0.95
    assert (known | ~mask | ~sharp).all()


@given(seeds, st.sampled_from(DTYPES), st.integers(1, 3), st.integers(1, 4), st.integers(2, 6))
@settings(max_examples=80)
def test_any_loss_gets_a_report(seed, dtype, batch, length, classes):
    """However small the batch and whatever the loss is; no code comes twice."""
    g = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, length, classes, generator=g).to(dtype).requires_grad_()
    ids = torch.randint(0, classes, (batch, length), generator=g)
    labels = ids.roll(int(torch.randint(-2, 3, (), generator=g)), 1)
    labels = labels.masked_fill(torch.rand(batch, length, generator=g) < 0.3, -100)
    kind, padded = (int(torch.randint(n, (), generator=g)) for n in (4, 2))
    taught = F.cross_entropy(logits.transpose(1, 2).float(), labels, reduction="none")
    loss = (taught.sum(), taught.mean(), taught.square().sum(), logits.sum() * 0)[kind]
    pad = torch.rand(batch, length, generator=g) < 0.7 if padded else None
    report = check_loss(loss, logits, ids=ids, pad=pad, eos=0)
    assert len(set(report.codes)) == len(report.codes) and str(report) and len(report.panels) == 3


# --- Faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("side", ["right", "left"])
def test_each_shift_is_found(dtype, side):
    for seed in range(20):
        case = Case(seed, dtype=dtype, side=side)
        for shift, code in ((0, "unshifted"), (2, "double-shift"), (3, "double-shift"), (-1, "unshifted")):
            labels = case.ids.masked_fill(~case.pad, -100).roll(-shift, 1)
            if shift > 0:
                labels[:, -shift:] = -100
            if shift < 0:
                labels[:, 0] = -100
            report = case.check(F.cross_entropy(case.logits.flatten(0, 1), labels.flatten()))
            assert report.codes[0] == code and set(report.codes[1:]) <= {"pad-supervised", "nothing-supervised"}, report
            assert all(one.severity == "note" for one in report.findings[1:])


def test_no_shift_says_where_and_what():
    case = Case()
    first = case.check(
        F.cross_entropy(case.logits.flatten(0, 1), case.ids.masked_fill(~case.pad, -100).flatten())
    ).findings[0]
    word = case.ids[0, 0]
    assert first.where == f"sentence 0, position 0 (id {word}) learns id {word}, and 15 more positions"


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_nothing_supervised(reduction, dtype):
    case = Case(dtype=dtype)
    ignored = torch.full((B * L,), -100)
    report = case.check(F.cross_entropy(case.logits.flatten(0, 1), ignored, reduction=reduction))
    assert report.codes == ("nothing-supervised",) and report.findings[0].severity == "error"
    assert ("NaN" if reduction == "mean" else "0.00") in report.findings[0].says


def test_a_sentence_that_teaches_nothing_is_a_note():
    case = Case()
    labels = case.labels.clone()
    labels[1] = -100
    report = case.check(F.cross_entropy(case.logits.flatten(0, 1), labels.flatten()))
    assert report.ok and report.codes == ("nothing-supervised",) and report.findings[0].where == "sentence 1"


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_padding_that_is_learned(side, dtype):
    for seed in range(20):
        case = Case(seed, side=side, dtype=dtype)
        report = case.check(F.cross_entropy(case.logits[:, :-1].flatten(0, 1), case.ids[:, 1:].flatten()))
        assert report.codes == ("pad-supervised",) and report.findings[0].severity == "error", report


def test_padding_that_is_learned_by_a_tagger():
    case = Case()
    tags = torch.randint(0, 5, (B, L), generator=torch.Generator().manual_seed(0))
    report = case.check(F.cross_entropy(case.logits.transpose(1, 2), tags), eos=None)
    assert report.codes == ("pad-supervised",) and report.findings[0].where.startswith("sentence 1, position 3")


def test_the_shift_inside_a_model_counts_the_first_word_after_left_padding():
    case = Case(side="left")
    labels = case.ids.masked_fill(~case.pad, -100)
    report = case.check(F.cross_entropy(case.logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten()))
    assert report.ok and report.codes == ("pad-supervised",)


@pytest.mark.parametrize("given_pad", [True, False])
def test_the_end_is_wiped_with_the_padding_of_the_same_id(given_pad):
    """FACTS 4: pad id = eos id, and labels wiped by id."""
    for seed in range(20):
        case = Case(seed, pad_id=EOS)
        labels = case.ids.masked_fill(case.ids == EOS, -100)[:, 1:]
        loss = F.cross_entropy(case.logits[:, :-1].flatten(0, 1), labels.flatten())
        report = case.check(loss, pad=case.pad if given_pad else None)
        assert report.codes == ("eos-unsupervised",), report
        assert report.findings[0].where.startswith(f"sentence 0, position 7 (id {EOS}), and 2 more positions")
        right = case.check(token_mean(case), pad=case.pad if given_pad else None)
        assert right.findings == (), right


def test_an_end_that_is_in_no_sentence_is_a_note():
    case = Case()
    report = case.check(token_mean(case), eos=V - 1 if V - 1 not in case.ids.tolist() else 0)
    assert report.ok


def position_mean(case):
    return case.losses().mean()


def position_mean_of_a_slice(case):
    losses = F.cross_entropy(case.logits[:, :-1].transpose(1, 2), case.ids[:, 1:], reduction="none")
    return (losses * (case.pad[:, 1:] & case.pad[:, :-1])).mean()


def mean_of_position_means(case):
    return case.losses().mean(1).mean()


@pytest.mark.parametrize("loss", [position_mean, position_mean_of_a_slice, mean_of_position_means])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_mean_over_positions_that_do_not_count(loss, dtype):
    case = Case(dtype=dtype)
    report = case.check(loss(case))
    assert report.codes == ("uneven-weights",) and report.findings[0].severity == "warning", report
    assert "13 positions count, and each weighs 1/2" in report.findings[0].says


def test_a_mean_that_accumulation_might_explain_is_a_note():
    case = Case()
    labels = case.labels.clone()
    labels[0] = torch.tensor([*labels[0, :6].tolist(), -100, -100])  # 12 positions count: 24 is twice as many
    report = case.check(F.cross_entropy(case.logits.flatten(0, 1), labels.flatten()) / 2, eos=None)
    assert report.ok and report.codes == ("uneven-weights",)


@pytest.mark.parametrize(
    "loss",
    [
        lambda case: token_mean(case) + 0.1 * case.logits.float().square().mean(),
        lambda case: F.kl_div(case.logits.log_softmax(-1), torch.randn(B, L, V).softmax(-1), reduction="batchmean"),
        lambda case: F.mse_loss(case.logits, torch.randn(B, L, V)),
        lambda case: F.cross_entropy(case.logits.flatten(0, 1) / 0.5, case.labels.flatten()),
        lambda case: F.cross_entropy(30 * torch.tanh(case.logits.flatten(0, 1) / 3), case.labels.flatten()),
        lambda case: -case.logits.float().softmax(-1).square().sum(-1).mean(),
    ],
    ids=["weight decay on logits", "soft targets", "squares", "temperature", "soft cap", "no labels"],
)
def test_what_is_no_cross_entropy_is_said_to_be_unread(loss):
    case = Case()
    report = case.check(loss(case))
    assert not report.ok and report.codes[0] == "undecided" and "can't be read" in report.findings[0].says, report


def test_a_model_that_is_certain_of_everything_tells_nothing():
    case = Case()
    for scale, dtype in ((1000, torch.float32), (1000, torch.bfloat16), (25, torch.float16)):
        logits = (scale * F.one_hot(case.ids, V)).to(dtype).requires_grad_()
        loss = F.cross_entropy(logits.flatten(0, 1), case.ids.flatten())
        assert check_loss(loss, logits, ids=case.ids).codes == ("undecided",)


def test_not_finite():
    """FACTS 19: a mask by multiplication keeps the NaN of a padding position."""
    case = Case()
    spoilt = case.logits.detach().clone()
    spoilt[1, 6] = torch.nan
    case.logits = spoilt.requires_grad_()
    losses = F.cross_entropy(case.logits.transpose(1, 2), case.labels.clamp(min=0), reduction="none")
    report = case.check((losses * (case.labels >= 0)).sum() / (case.labels >= 0).sum())
    assert report.codes == ("non-finite",) and report.findings[0].where == "sentence 1, position 6 (id 0)"
    assert case.check(token_mean(case)).codes == ("non-finite",), "ignore_index keeps it, too"
    assert case.check(of_ours(case)).findings == (), "what is left out before the logarithm does no harm"


# --- The caller's graph -----------------------------------------------------------------------------------------------


def test_the_graph_stays_usable_and_no_gradient_is_accumulated():
    torch.manual_seed(0)
    case, model = Case(), torch.nn.Embedding(V, V)
    logits = model(case.ids)
    loss = F.cross_entropy(logits.flatten(0, 1), case.labels.flatten())
    with torch.no_grad():  # where the caller stands doesn't matter
        first = check_loss(loss, logits, ids=case.ids, pad=case.pad)
    assert model.weight.grad is None and logits.grad_fn is not None
    assert str(check_loss(loss, logits, ids=case.ids, pad=case.pad)) == str(first)
    loss.backward()
    assert model.weight.grad.abs().sum() > 0


def test_the_text_is_for_a_learner():
    case = Case()
    report = case.check(F.cross_entropy(case.logits[:, :-1].flatten(0, 1), case.ids[:, 1:].flatten()))
    lines = str(report).splitlines()
    assert lines[1] == "✗ error pad-supervised, sentence 1, position 2 (id 1) learns id 0, and 7 more positions"
    assert lines[-1] == "Checked: 21 of 24 positions teach a label, it is the next token, each weighs 1/21."
    assert [panel.name for panel in report.panels] == ["ids", "labels", "weights"]
    assert report.panels[1].values[0, 0] == case.ids[0, 1] and "<iframe" in report._repr_html_()


@pytest.mark.parametrize(("call", "error", "words"), [
    (lambda c: c.check(token_mean(c).item()), TypeError, "loss must be a tensor (floating-point), got"),
    (lambda c: c.check(c.losses()), ValueError, "loss must be one number, got torch.float32 of shape (3, 8)"),
    (lambda c: c.check(token_mean(c).detach()), ValueError, "loss must carry a gradient"),
    (lambda c: check_loss(token_mean(c), c.logits.detach(), ids=c.ids), ValueError, "logits must carry a gradient"),
    (lambda c: check_loss(token_mean(c), c.logits * 1, ids=c.ids), ValueError, "loss must come from these logits"),
    (lambda c: check_loss(token_mean(c), c.logits.flatten(0, 1), ids=c.ids), ValueError, "got (24, 23) and (3, 8)"),
    (lambda c: check_loss(token_mean(c), c.logits[:, :-1], ids=c.ids), ValueError, "before any slice"),
    (lambda c: c.check(token_mean(c), ids=c.ids.float()), TypeError, "ids must be int64"),
    (lambda c: c.check(token_mean(c), pad=c.pad.long()), TypeError, "pad must be bool, True = a real token"),
    (lambda c: c.check(token_mean(c), pad=c.pad[:, 1:]), ValueError, "ids and pad must have one shape"),
])  # fmt: skip
def test_bad_input_is_told_in_one_sentence(call, error, words):
    with pytest.raises(error) as refusal:
        call(Case())
    assert words in str(refusal.value)


def test_a_graph_that_is_gone_is_told():
    case = Case()
    loss = token_mean(case)
    loss.backward()
    with pytest.raises(ValueError, match="call check_loss before loss.backward"):
        case.check(loss)


def test_the_positions_that_weigh_most_are_pointed_at():
    ids, logits = torch.arange(1, 7)[None], torch.zeros(1, 6, 9, requires_grad=True)
    losses = F.cross_entropy(logits[0, :-1], ids[0, 1:], reduction="none")
    weights = torch.tensor([1.0, 1.0, 1.0, 3.0, 1.0])
    (found,) = check_loss((losses * weights).sum() / 7, logits, ids=ids).findings
    assert found.code == "uneven-weights" and found.where == "position 3 (id 4) learns id 5"


def test_a_mean_that_counts_the_last_position_without_a_label_is_no_finding():
    """Of L positions L − 1 have a label: many programs divide by L, and nothing else is left out."""
    ids, logits = torch.arange(1, 7)[None].repeat(2, 1), torch.zeros(2, 6, 9, requires_grad=True)
    losses = F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    assert check_loss(losses.sum() / ids.numel(), logits, ids=ids).codes == ()


def test_what_two_equal_terms_leave_of_each_other_is_no_label():
    """A loss and its opposite at one position: what rounding leaves there is nothing that a model learns from."""
    g = torch.Generator().manual_seed(0)
    ids, logits = torch.arange(1, 7)[None], torch.randn(1, 6, 9, generator=g).requires_grad_()
    losses = F.cross_entropy(logits[0, :-1], ids[0, 1:], reduction="none")
    again = -(logits[0, 2] - logits[0, 2].logsumexp(-1))[ids[0, 3]]
    report = check_loss((losses.sum() - again) / 4, logits, ids=ids)
    assert report.codes == () and "4 of 6 positions teach a label" in report.checked


def test_what_was_not_given_is_said():
    case = Case()
    assert case.check(token_mean(case)).checked[-1].startswith("each weighs")
    checked = case.check(token_mean(case), pad=None, eos=None).checked
    assert checked[-2:] == ("not padding: no pad was given", "not the end: no eos was given")


def test_a_shift_along_the_batch_is_found():
    for seed in range(20):
        case = Case(seed)
        loss = F.cross_entropy(case.logits[:-1].flatten(0, 1), case.ids[1:].flatten())
        found = case.check(loss, pad=None, eos=None).findings[0]
        assert found.code == "unshifted" and "along the batch" in found.says
        back = F.cross_entropy(case.logits[1:].flatten(0, 1), case.ids[:-1].flatten())
        assert case.check(back, pad=None, eos=None).codes[0] == "unshifted"


def test_a_second_term_at_padding_is_not_taken_for_a_shift():
    case = Case()
    z_loss = 1e-2 * case.logits.logsumexp(-1).square().mean()
    notes = [one.says for one in case.check(token_mean(case) + z_loss).findings if one.code == "pad-supervised"]
    assert len(notes) == 1 and "second term" in notes[0]


def test_weights_that_nobody_makes_by_mistake_get_no_line_to_change():
    case = Case()
    assert "leave it" in case.check(focal(case)).findings[0].fix
    assert "leave it" not in case.check(sequence_mean(case)).findings[0].fix
