"""Proposals for the remaining cases: the same from one worker, several, a killed one, and a cluster of two nodes; resumable; marked."""

import os
import signal
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from MultiverSegLib.cohort.batch.engines import LocalEngine, RayEngine
from MultiverSegLib.cohort.batch.jobs import jobs_for, propagate, run_job
from MultiverSegLib.cohort.store.cohort import Cohort
from MultiverSegLib.cohort.store.cohort_contexts import Contexts
from MultiverSegLib.cohort.store.order import remaining
from MultiverSegLib.cohort.work.labels_to_context import labels_to_context
from MultiverSegLib.cohort.work.workflow import Desk
from MultiverSegLib.core.errors import CohortError

from ..model import BrightModel
from ..volumes import ellipsoid, real_cohort


class Here:
    """Runs jobs in this process, in any order asked for; stops (as a kill would) after ``until`` of them."""

    def __init__(self, backwards=False, until=None):
        self.backwards, self.until, self.jobs = backwards, until, []

    def run(self, jobs):
        self.jobs = list(jobs)
        for number, job in enumerate(reversed(jobs) if self.backwards else jobs):
            if number == self.until:
                raise KeyboardInterrupt
            yield run_job(job, BrightModel())


@pytest.fixture
def cohort(host, tmp_path):
    with real_cohort(tmp_path, 5, model="bright") as opened:
        labels_to_context(opened, "blob", ["p0", "p1"])
        for case in ("p0", "p1"):
            opened.record("status", case=case, status="skipped")
        yield opened


def proposals(cohort):
    return {c.id: c.work("blob").proposal for c in cohort.cases if c.work("blob").proposal}


def files(cohort):
    return {p.name: p.read_bytes() for p in (cohort.folder / "proposals").iterdir()}


def facts(cohort):
    return {case: {k: v for k, v in p.items() if k != "seq"} for case, p in proposals(cohort).items()}


@pytest.mark.parametrize("kind", ["slice", "volume"])
def test_the_remaining_cases_get_proposals(cohort, kind):
    outcome = propagate(cohort, Here(), kind=kind)
    assert outcome.proposed == ["p2", "p3", "p4"] and not outcome.failed
    for n in (2, 3, 4):
        mask = sitk.GetArrayFromImage(sitk.ReadImage(str(cohort.proposal_path(f"p{n}", "blob")))) != 0
        truth, index = ellipsoid(n)[1] != 0, proposals(cohort)[f"p{n}"]["index"]
        shown = mask[index] & truth[index]
        assert 2 * shown.sum() / (mask[index].sum() + truth[index].sum()) > 0.9
        assert truth[index].sum() > 0.9 * truth.sum((1, 2)).max(), "near the max slice"
        assert (np.flatnonzero(mask.any((1, 2))).size > 5) == (kind == "volume")
    assert all(case.status == "todo" for case in cohort.cases[2:]), "a proposal is not a result"
    assert not list((cohort.folder / "segmentations").glob("*"))


def test_order_of_the_answers_changes_nothing(cohort, tmp_path):
    propagate(cohort, Here())
    first, known = files(cohort), facts(cohort)
    propagate(cohort, Here(backwards=True), refresh=True)
    assert files(cohort) == first and facts(cohort) == known


def test_a_killed_run_goes_on_with_what_is_missing(cohort):
    with pytest.raises(KeyboardInterrupt):
        propagate(cohort, Here(until=1))
    assert list(proposals(cohort)) == ["p2"]
    second = Here()
    propagate(cohort, second)
    assert [job.case for job in second.jobs] == ["p3", "p4"]
    third = Here()
    assert propagate(cohort, third).proposed == [] and third.jobs == []
    cohort.proposal_path("p3", "blob").unlink()
    assert [job.case for job in jobs_for(cohort)] == ["p3"]


def test_proposals_are_refreshed_when_the_context_has_grown_or_lost_one(cohort):
    propagate(cohort, Here())
    cohort.record("setting", name="refresh_after", value=1)
    assert not jobs_for(cohort)
    labels_to_context(cohort, "blob", ["p2"])
    assert [job.case for job in jobs_for(cohort)] == ["p2", "p3", "p4"]
    propagate(cohort, Here())
    contexts = Contexts(cohort)
    assert contexts.get("blob").examples[0].case == "p0"
    contexts.remove("blob", contexts.get("blob").examples[0].id)
    assert all(p["stale"] for p in proposals(cohort).values())
    assert len(jobs_for(cohort)) == 3


def test_a_case_is_not_proposed_from_its_own_labels(cohort):
    labels_to_context(cohort, "blob", ["p2"])
    own = Contexts(cohort).get("blob").examples[2].id
    propagate(cohort, Here())
    assert own not in proposals(cohort)["p2"]["examples"] and own in proposals(cohort)["p3"]["examples"]


def test_a_case_that_fails_does_not_stop_the_others(cohort, tmp_path):
    (tmp_path / "data/images/p3.nrrd").write_bytes(b"broken")
    outcome = propagate(cohort, Here())
    assert outcome.proposed == ["p2", "p4"] and "p3.nrrd" in outcome.failed["p3"]


def test_cases_begun_meanwhile_are_left_alone(cohort):
    class Slow(Here):
        def run(self, jobs):
            for answer in super().run(jobs):
                if answer.case == "p3":
                    cohort.record("opened", case="p3")
                yield answer

    assert propagate(cohort, Slow()).proposed == ["p2", "p4"]


def test_without_context_there_is_nothing_to_propagate(host, tmp_path):
    with real_cohort(tmp_path) as empty, pytest.raises(CohortError, match="context of blob is empty"):
        propagate(empty, Here())


def test_a_proposal_is_shown_accepted_and_measured(cohort):
    propagate(cohort, Here(), kind="volume")
    desk = Desk(BrightModel())
    desk.take(cohort)
    work = desk.go_to("p2")
    assert work.nodes.mask("blob").any()
    work.accept()
    done = cohort.case("p2").work("blob")
    assert done.first_vs_accepted_dice > 0.99 and done.clicks == 0 and done.model == "bright" and done.context_size == 2
    assert cohort.case("p2").status == "accepted" and not done.proposal
    assert [c.id for c in remaining(cohort.state, "least certain")] in (["p3", "p4"], ["p4", "p3"])
    desk.close()


@pytest.fixture
def networked(host, tmp_path):
    """A cohort whose model is a real, small, untrained network in a file."""
    pytest.importorskip("torch")
    import torch
    from MultiverSegLib.core.models.checkpoints import save_checkpoint
    from MultiverSegLib.core.networks.multiverseg import MultiverSegNet

    torch.manual_seed(3)
    network = MultiverSegNet(5, 2, (8, 8))
    with torch.no_grad():
        network.out_conv.conv.bias.fill_(0.05)
    path = save_checkpoint(tmp_path / "tiny.pt", network)
    with real_cohort(tmp_path, 6, model=str(path)) as opened:
        labels_to_context(opened, "blob", ["p0", "p1"])
        yield opened


def test_one_worker_two_workers_and_a_killed_worker_give_the_same_files(networked):
    outcome = propagate(networked, LocalEngine(1))
    assert len(outcome.proposed) == 6 and not outcome.failed
    first, known = files(networked), facts(networked)
    killer = _kill_one_worker_soon()
    propagate(networked, LocalEngine(2), refresh=True)
    killer.join()
    assert killer.victim, "a worker must have been killed for the test to mean anything"
    assert files(networked) == first and facts(networked) == known


def _kill_one_worker_soon():
    """Kills the first worker process that appears."""
    import psutil

    class Killer(threading.Thread):
        victim = 0

        def run(self):
            end = time.monotonic() + 30
            while time.monotonic() < end:
                for child in psutil.Process().children():
                    if "spawn_main" in " ".join(child.cmdline()):
                        time.sleep(0.5)
                        self.victim = child.pid
                        os.kill(child.pid, signal.SIGKILL)
                        return
                time.sleep(0.02)

    killer = Killer(daemon=True)
    killer.start()
    return killer


@pytest.mark.slow
def test_a_cluster_of_two_nodes_that_loses_one_gives_the_same_files(networked, monkeypatch):
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    propagate(networked, LocalEngine(1))
    first, known = files(networked), facts(networked)
    library = os.pathsep.join(p for p in __import__("sys").path if p.endswith("MultiverSegSlicer"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [library, os.environ.get("PYTHONPATH", "")])))
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        second = cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        ray.init(address=cluster.address, log_to_driver=False)
        assert sum(node["Alive"] for node in ray.nodes()) == 2
        lost = []

        def progress(case, done, total):
            if not lost:
                lost.append(case)
                cluster.remove_node(second, allow_graceful=False)

        outcome = propagate(networked, RayEngine(cluster.address), refresh=True, progress=progress)
        assert len(outcome.proposed) == 6 and lost
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert files(networked) == first and facts(networked) == known


def test_jobs_survive_the_way_to_another_process(cohort):
    import pickle

    for job in jobs_for(cohort):
        again = pickle.loads(pickle.dumps(job))
        assert again == job and again.signature == job.signature
        assert replace(job, examples=job.examples[:1]).signature != job.signature


def test_a_read_only_cohort_is_left_alone(cohort):
    with Cohort.open(cohort.folder) as second, pytest.raises(CohortError, match="held by"):
        propagate(second, Here())
