"""Batches: what they hold, that a step repeats them, what the context's entries carry."""

import pytest
import torch
from MultiverSegLib.training.batches import BatchMaker, rescale
from MultiverSegLib.training.config import StageConfig, parse_config
from MultiverSegLib.training.corpus import Corpus
from MultiverSegLib.training.smoke import SMOKE


def maker(corpus_folder, **sections):
    data = {**SMOKE, **{k: {**SMOKE.get(k, {}), **v} for k, v in sections.items()}}
    config = parse_config(data)
    return BatchMaker(config, Corpus.load(corpus_folder, fractions=config.data.fractions, unlabelled=True))


PLAIN = {"task": {"sobel_label": {"p": 0.0}}}
STAGE = StageConfig(steps=1, size=48, batch=6, max_context=4)


def sized(batches, size, **options):
    """A batch with a context of ``size``."""
    step = next(s for s in range(1000) if batches.make(s, stage=STAGE).context_size == size)
    return batches.make(step, stage=STAGE)


def test_shapes_and_ranges(corpus_folder):
    batches = maker(corpus_folder)
    sizes = set()
    for step in range(30):
        batch = batches.make(step, stage=STAGE)
        sizes.add(batch.context_size)
        assert batch.image.shape == batch.label.shape == (6, 1, 48, 48)
        assert float(batch.image.min()) >= 0 and float(batch.image.max()) <= 1
        assert set(batch.label.unique().tolist()) <= {0.0, 1.0} and batch.label.flatten(1).any(1).all()
        if batch.context is not None:
            assert batch.context.shape == (6, batch.context_size, 5, 48, 48)
    assert sizes == {0, 1, 2, 3, 4}, "U[0, N]"


def test_a_step_is_repeatable_and_ranks_share_the_context_size_but_not_the_images(corpus_folder):
    batches = maker(corpus_folder)
    for step in range(3):
        a, again, other = batches.make(step, stage=STAGE), batches.make(step, stage=STAGE), batches.make(step, rank=1, stage=STAGE)
        assert torch.equal(a.image, again.image) and (a.context is None or torch.equal(a.context, again.context))
        assert other.context_size == a.context_size and not torch.equal(other.image, a.image)


def test_sources_are_drawn_in_their_shares(corpus_folder):
    batches = maker(corpus_folder, sources={"real": 0.2, "superpixel": 0.3, "shapes": 0.5})
    stage = STAGE.model_copy(update={"size": 32, "max_context": 0})
    drawn = [s for step in range(60) for s in batches.make(step, stage=stage).sources]
    for name, share in (("real", 0.2), ("superpixel", 0.3), ("shapes", 0.5)):
        assert abs(drawn.count(name) / len(drawn) - share) < 0.08


def test_entries_carry_masks_prompts_or_both_in_their_shares(corpus_folder):
    def carried(**options):
        batch = sized(maker(corpus_folder, context={"noisy_share": 0.0, **options}, augment=PLAIN), 4)
        entries = batch.context.flatten(0, 1)
        return entries[:, 1].flatten(1).any(1), entries[:, 2:].flatten(1).any(1)

    masks, prompts = carried(weak_share=0.0, all_weak_share=0.0, both_share=0.0)
    assert masks.float().mean() > 0.8 and not prompts.any()
    masks, prompts = carried(weak_share=0.0, all_weak_share=1.0, both_share=0.0)
    assert not masks.any() and prompts.float().mean() > 0.8
    masks, prompts = carried(weak_share=0.0, all_weak_share=0.0, both_share=1.0)
    assert (masks & prompts).float().mean() > 0.8


def test_a_share_of_the_masks_is_imperfect(corpus_folder):
    clean = sized(maker(corpus_folder, context={"weak_share": 0, "all_weak_share": 0, "noisy_share": 0.0}, augment=PLAIN), 4)
    noisy = sized(maker(corpus_folder, context={"weak_share": 0, "all_weak_share": 0, "noisy_share": 1.0}, augment=PLAIN), 4)
    assert torch.equal(clean.image, noisy.image)
    a, b = clean.context[:, :, 1], noisy.context[:, :, 1]
    assert not torch.equal(a, b)
    dice = 2 * (a * b).sum() / (a.sum() + b.sum())
    assert dice > 0.8


def test_a_share_of_the_masks_is_grossly_wrong(corpus_folder):
    masks = {}
    for share in (0.0, 1.0):
        options = {"weak_share": 0, "all_weak_share": 0, "noisy_share": 0.0, "wrong_share": share}
        masks[share] = sized(maker(corpus_folder, context=options, augment=PLAIN), 4).context[:, :, 1]
    a, b = masks[0.0], masks[1.0]
    assert 0.2 < 2 * (a * b).sum() / (a.sum() + b.sum()) < 0.85


def test_all_processes_begin_equally_late(corpus_folder):
    batches = maker(corpus_folder, prompts={"long_share": 0.5, "long_steps": 4})
    drawn = [(batches.make(step, 0).before, batches.make(step, 1).before) for step in range(24)]
    assert all(a == b for a, b in drawn) and {a for a, _ in drawn} == {0, 1, 2, 3, 4}
    assert not any(maker(corpus_folder).make(step).before for step in range(8))


def test_superpixels_come_from_training_subjects_and_unlabelled_images_only(corpus_folder):
    batches = maker(corpus_folder)
    corpus = Corpus.load(corpus_folder, fractions=(0.6, 0.4, 0.0), unlabelled=True)
    known = {i.tobytes() for i in batches.plain}
    held_out = [i for d in corpus.datasets for i in d.images[d.folds != "train"]]
    assert held_out and not any(i.tobytes() in known for i in held_out)
    assert all(i.tobytes() in known for i in corpus.unlabelled["made"])


def test_rescale_is_min_max_and_safe_for_constants():
    images = torch.stack([torch.linspace(3, 7, 16).view(4, 4), torch.full((4, 4), 2.0)])
    out = rescale(images)
    assert out[0].min() == 0 and out[0].max() == 1 and not out[1].any()


@pytest.mark.parametrize("bad", [{"sources": {"real": 0, "superpixel": 0, "shapes": 0}}, {"augment": {"task": {"shear": {"p": 1}}}}])
def test_impossible_configurations_are_refused(bad):
    from MultiverSegLib.training.config import ConfigError

    with pytest.raises(ConfigError):
        parse_config({**SMOKE, **bad})
