"""``multiverseg cohort`` and ``multiverseg propagate`` as a person types them, from scans in a folder to the report."""

import csv
import json
import re

import numpy as np
import pytest
import SimpleITK as sitk
from MultiverSegLib.cohort.store.cohort import Cohort

from ..cohort.volumes import ellipsoid, write, write_cohort_files


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A real network, small and untrained, in a file."""
    torch = pytest.importorskip("torch")
    from MultiverSegLib.core.models.checkpoints import save_checkpoint
    from MultiverSegLib.core.networks.multiverseg import MultiverSegNet

    torch.manual_seed(3)
    network = MultiverSegNet(5, 2, (8, 8))
    with torch.no_grad():
        network.out_conv.conv.bias.fill_(0.05)
    return save_checkpoint(tmp_path_factory.mktemp("model") / "tiny.pt", network)


@pytest.fixture
def study(tmp_path, command, model):
    write_cohort_files(tmp_path / "scans", 4)
    result = command("cohort", "init", tmp_path / "study", "--from", tmp_path / "scans", "-s", "blob", "--model", model)
    assert result.code == 0 and "4 cases, 4 of them with existing labels" in result.out, result.err
    return tmp_path / "study"


def prompt_file(path, study, case):
    """A click in the middle of the structure, as Slicer would save it (LPS)."""
    index = np.argwhere(ellipsoid(int(case[1:]))[1])
    image = sitk.ReadImage(str(study.parent / "scans/images" / f"{case}.nrrd"))
    position = image.TransformContinuousIndexToPhysicalPoint([float(v) for v in index[len(index) // 2][::-1]])
    point = {"id": "1", "label": "a", "position": list(position), "positionStatus": "defined", "orientation": [-1, 0, 0, 0, -1, 0, 0, 0, 1]}
    markup = {"type": "Fiducial", "coordinateSystem": "LPS", "controlPoints": [point]}
    schema = "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/markups-schema-v1.0.3.json#"
    path.write_text(json.dumps({"@schema": schema, "markups": [markup]}))
    return path


def test_a_cohort_from_its_scans_to_its_report(study, command, tmp_path, monkeypatch):
    assert command("cohort", "labels", study, "--case", "p0", "--case", "p1").out.strip() == "2 examples of blob"
    monkeypatch.chdir(tmp_path)
    done = command("cohort", "accept", study, "p0", "--segmentation", "scans/labels/p0.nrrd")
    assert done.code == 0 and "the case is accepted" in done.out, done.err
    assert command("cohort", "next", study).out.startswith("p1\t")

    result = command("propagate", study)
    assert result.code == 0 and "3 proposed" in result.out, result.err
    assert command("cohort", "accept", study, "p1", "--proposal").code == 0
    result = command(
        "cohort", "predict", study, "p2", "--prompts", prompt_file(tmp_path / "p.mrk.json", study, "p2"), "--volume", "--accept"
    )
    assert result.code == 0 and "slices through the volume" in result.out, result.err
    assert command("cohort", "skip", study, "p3", "--note", "motion").code == 0

    status = command("cohort", "status", study)
    assert "4 of 4" in status.err and "\tmotion" in status.out
    assert json.loads(command("cohort", "status", study, "--json").out)["cases"][2]["works"]["blob"]["interactions"] == {
        "positive point": 1
    }

    result = command("cohort", "replay", study)
    assert result.code == 0 and result.out.count("identical") == 3, result.out

    result = command("cohort", "report", study)
    assert result.code == 0, result.err
    page = (study / "report.html").read_text()
    assert page.count("data:image/png;base64") == 3 and "motion" in page and "<svg" in page
    assert not re.search(r"(src|href)=.(?!data:|#)", page), "the page must stand alone"
    rows = list(csv.DictReader((study / "report.csv").read_text().splitlines()))
    assert [r["status"] for r in rows] == ["accepted", "accepted", "accepted", "skipped"] and rows[2]["interactions"] == "1"
    assert float(rows[0]["volume_ml"]) == pytest.approx(ellipsoid(0)[1].sum() * 0.9 * 0.8 * 2.5 / 1000, rel=1e-3)
    methods = (study / "methods.txt").read_text()
    assert "3 of 4 volumes" in methods and "(motion)" in methods and "1 positive point" in methods

    result = command("cohort", "export", study, "-o", tmp_path / "out", "-f", "nifti", "-f", "stl")
    assert result.code == 0 and len(list((tmp_path / "out").iterdir())) == 6
    assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out/p0.nii.gz"))), ellipsoid(0)[1])


def test_a_bad_example_is_forgotten(study, command):
    command("cohort", "labels", study, "--case", "p0", "--case", "p1")
    command("cohort", "predict", study, "p2", "--accept")
    result = command("cohort", "forget", study, "p0")
    assert result.code == 0 and "looked at again: p2" in result.out
    assert "needs review" in command("cohort", "status", study).out
    assert "no example of case 'p0'" in command("cohort", "forget", study, "p0").error_line


def test_replay_of_a_changed_history_fails(study, command, tmp_path):
    command("cohort", "predict", study, "p2", "--prompts", prompt_file(tmp_path / "p.mrk.json", study, "p2"), "--accept")
    journal = study / "journal.jsonl"
    lines = journal.read_text().splitlines()
    number = next(n for n, line in enumerate(lines) if '"predicted"' in line)
    event = json.loads(lines[number])
    event["prompts"][0]["position"][0] += 4
    lines[number] = json.dumps(event)
    journal.write_text("\n".join(lines) + "\n")
    result = command("cohort", "replay", study, "p2")
    assert result.code == 1 and "the logits differ" in result.out


def test_masks_from_another_folder(tmp_path, command, model):
    write_cohort_files(tmp_path / "scans", 2, labels=False)
    for n in range(2):
        write(tmp_path / "masks" / f"p{n}_seg.nrrd", ellipsoid(n)[1] * 5)
    command("cohort", "init", tmp_path / "study", "--from", tmp_path / "scans", "-s", "blob:sagittal", "--window=0,500")
    result = command("cohort", "labels", tmp_path / "study", "--from", tmp_path / "masks", "--value", 5)
    assert result.out.strip() == "2 examples of blob", result.err
    cohort = Cohort.open(tmp_path / "study", read_only=True)
    assert cohort.case("p0").labels[0].value == 5 and cohort.structure().axis == "sagittal"
    assert cohort.structure().image["window"] == [0.0, 500.0]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("status", "nowhere"), 1, "no cohort"),
        (("init", "new"), 2, "--structure"),
        (("init", "new", "-s", "x"), 2, "--from"),
        (("init", "new", "-s", "x", "--from", "nowhere"), 1, "no folder"),
        (("init", "new", "-s", "x:up", "--from", "."), 1, "axis"),
        (("init", "new", "-s", "x", "--from", ".", "--strategy", "nope"), 2, "most_similar"),
        (("init", "new", "-s", "x", "--from", ".", "--cap=-1"), 2, "--cap"),
        (("init", "new", "-s", "x", "--from", ".", "--model", "nope"), 1, "nope"),
        (("init", "new", "-s", "x" * 300, "--from", "."), 2, "too long"),
        (("init", "new", "-s", "a\x1b[2J", "--from", "."), 2, "printable"),
        (("init", "new", "-s", "", "--from", "."), 2, "printable"),
    ],
)
def test_bad_usage_is_one_line(command, tmp_path, monkeypatch, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    result = command("cohort", *arguments)
    assert result.code == code and message in result.err


def test_unknown_cases_and_formats(study, command, tmp_path):
    assert "no case 'zz'" in command("cohort", "accept", study, "zz").error_line
    assert "no case 'zz'" in command("cohort", "export", study, "-o", tmp_path / "o", "--case", "zz").error_line
    assert command("cohort", "export", study, "-o", tmp_path / "o", "-f", "jpeg").code == 2
    assert "Nothing was done" in command("cohort", "report", study).error_line
    assert "context of blob is empty" in command("propagate", study).error_line


def test_a_cohort_in_use_is_said_to_be(study, command):
    with Cohort.open(study):
        assert "held by" in command("cohort", "skip", study, "p0").error_line
        assert command("cohort", "status", study).code == 0


def test_a_held_cohort_is_waited_for(study, command):
    import threading

    holder = Cohort.open(study)
    threading.Timer(0.5, holder.close).start()
    ran = command("cohort", "skip", study, "p0", "--wait", 30)
    assert ran.code == 0, ran.err


def test_points_are_typed_and_login_names_left_out(tmp_path, command, model):
    write_cohort_files(tmp_path / "scans", 2)
    study = tmp_path / "study"
    command("cohort", "init", study, "--from", tmp_path / "scans", "-s", "blob", "--model", model, "--no-names")
    markup = json.loads(prompt_file(tmp_path / "p.mrk.json", study, "p0").read_text())
    x, y, z = markup["markups"][0]["controlPoints"][0]["position"]
    ran = command("cohort", "predict", study, "p0", "--point", f"{x},{y},{z}")
    assert "signs of LPS coordinates" in ran.error_line
    ran = command("cohort", "predict", study, "p0", "--point", f"{-x},{-y},{z}", "--negative", f"{-x - 9},{-y},{z}", "--accept")
    assert ran.code == 0, ran.err
    assert Cohort.open(study, read_only=True).case("p0").work("blob").interactions == {"positive point": 1, "negative point": 1}
    events = [json.loads(line) for line in (study / "journal.jsonl").read_text().splitlines()]
    assert {event["who"] for event in events} == {""}
    assert command("cohort", "report", study).code == 0
    rows = list(csv.DictReader((study / "report.csv").read_text().splitlines()))
    assert rows[0]["who"] == "" and rows[0]["status"] == "accepted"
