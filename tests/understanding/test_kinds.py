"""Headers as scanners write them, and what the series are."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom import uid

from dicom_node.config.facts import FACTS
from dicom_node.understanding import facts_of, understand

ORIGINAL = ["ORIGINAL", "PRIMARY"]


def _mr(description: str = "", **values: Any) -> dict[str, Any]:
    known = {"SOPClassUID": uid.MRImageStorage, "Modality": "MR", "ImageType": [*ORIGINAL, "M"]}
    return known | ({"SeriesDescription": description} if description else {}) | values


def _ct(description: str = "", **values: Any) -> dict[str, Any]:
    known = {"SOPClassUID": uid.CTImageStorage, "Modality": "CT", "ImageType": [*ORIGINAL, "AXIAL"]}
    return known | ({"SeriesDescription": description} if description else {}) | values


def _se(tr: float, te: float, **values: Any) -> dict[str, Any]:
    return {"ScanningSequence": "SE", "RepetitionTime": tr, "EchoTime": te, **values}


def _gr(tr: float, te: float, flip: float, **values: Any) -> dict[str, Any]:
    return {"ScanningSequence": "GR", "RepetitionTime": tr, "EchoTime": te, "FlipAngle": flip, **values}


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        # what people write
        (_mr("ADNI_Sag3D MPRAGE"), "t1w"),
        (_mr("t1_mprage_sag_p2_iso"), "t1w"),
        (_mr("Ax T1 FSE POST"), "t1w"),
        (_mr("3D BRAVO"), "t1w"),
        (_mr("COR T1 FLAIR"), "t1w"),
        (_mr("Sag CUBE T2 FLAIR"), "flair"),
        (_mr("t2_space_dark-fluid_sag"), "flair"),
        (_mr("FLAIR_LongTR"), "flair"),
        (_mr("t2_tse_tra"), "t2w"),
        (_mr("AX T2 PROPELLER"), "t2w"),
        (_mr("Ax T2* GRE"), "t2star"),
        (_mr("t2star_fl2d_tra"), "t2star"),
        (_mr("PD_TSE_FS"), "pd"),
        (_mr("COR STIR"), "stir"),
        (_mr("ep2d_diff_b1000"), "dwi"),
        (_mr("DWI_b0_b1000"), "dwi"),
        (_mr("dADC_Map ADC"), "adc"),
        (_mr("Apparent Diffusion Coefficient (mm2/s) ADC"), "adc"),
        (_mr("SWI_Images"), "swi"),
        (_mr("TOF_3D_multi-slab"), "tof"),
        (_mr("3DpCASL"), "perfusion"),
        (_mr("ep2d_bold_rest", SequenceName="*epfid2d1_64"), "bold"),
        # where people write nothing: what the sequence is called
        (_mr(SequenceName="*tfl3d1_16ns"), "t1w"),
        (_mr(SequenceName="*ep_b1000#3"), "dwi"),
        (_mr(SequenceName="*swi3d1r"), "swi"),
        (_mr(PulseSequenceName="T1TFE"), "t1w"),
        (_mr(SequenceName="*spcir_278ns"), "flair"),
        (_mr(SequenceName="*epfid2d1_64"), "bold"),
        # … what its times make bright
        (_mr(**_se(500, 12)), "t1w"),
        (_mr(**_se(4000, 100)), "t2w"),
        (_mr(**_se(3000, 20)), "pd"),
        (_mr(**_se(9000, 120, InversionTime=2500)), "flair"),
        (_mr(**_se(5000, 40, InversionTime=160)), "stir"),
        (_mr(**_gr(6.5, 2.9, 9, SequenceVariant="MP")), "t1w"),
        (_mr(**_gr(600, 20, 20)), "t2star"),
        (_mr(DiffusionBValue=1000.0), "dwi"),
        # … what the standard has values for
        (_mr(AcquisitionContrast="FLUID_ATTENUATED"), "flair"),
        (_mr(ImageType=[*ORIGINAL, "PERFUSION", "NONE"]), "perfusion"),
        (_mr("ADC", ImageType=["DERIVED", "PRIMARY", "DIFFUSION", "ADC"], DiffusionBValue=0.0), "adc"),
        # where they contradict: a protocol copied and never renamed
        (_mr("t1_mprage", ProtocolName="t1_mprage", **_gr(7, 3, 9, SequenceVariant="MP")), "t1w"),
        (_mr("T1 brain", SequenceName="*spcir_278ns", **_se(6000, 390, InversionTime=2100)), "flair"),
        # where there is nothing to go by
        (_mr("Series 3"), None),
        (_ct("T1 level"), None),
    ],
)  # fmt: skip
def test_kind_of_sequence(header: dict[str, Any], kind: str | None) -> None:
    assert facts_of(understand(header)).get("kind") == kind


@pytest.mark.parametrize(
    ("values", "kernel"),
    [
        ({"ConvolutionKernel": "LUNG", "Manufacturer": "GE MEDICAL SYSTEMS"}, "lung"),
        ({"ConvolutionKernel": "STANDARD", "Manufacturer": "GE MEDICAL SYSTEMS"}, "soft"),
        ({"ConvolutionKernel": "BONEPLUS", "Manufacturer": "GE MEDICAL SYSTEMS"}, "bone"),
        ({"ConvolutionKernel": "B31f", "Manufacturer": "SIEMENS"}, "soft"),
        ({"ConvolutionKernel": "B70f", "Manufacturer": "SIEMENS"}, "lung"),
        ({"ConvolutionKernel": ["Br40d", "3"], "Manufacturer": "SIEMENS"}, "soft"),
        ({"ConvolutionKernel": "Bl57d", "Manufacturer": "SIEMENS"}, "lung"),
        ({"ConvolutionKernel": "H60s", "Manufacturer": "SIEMENS"}, "bone"),
        ({"ConvolutionKernel": "Hr68", "Manufacturer": "SIEMENS"}, "bone"),
        ({"ConvolutionKernel": "FC51", "Manufacturer": "TOSHIBA"}, "lung"),
        ({"ConvolutionKernel": "FC08", "Manufacturer": "TOSHIBA"}, "soft"),
        ({"ConvolutionKernel": "FC30", "Manufacturer": "TOSHIBA"}, "bone"),
        ({"ConvolutionKernel": "YA", "Manufacturer": "Philips"}, "lung"),
        ({"ConvolutionKernel": "UB", "Manufacturer": "Philips"}, "soft"),
        ({"ConvolutionKernel": "XYZZY", "Manufacturer": "ACME"}, None),
        ({}, None),
    ],
)
def test_kernel(values: dict[str, Any], kernel: str | None) -> None:
    assert facts_of(understand(_ct(**values))).get("kernel") == kernel


@pytest.mark.parametrize(
    ("header", "parts"),
    [
        (_ct(BodyPartExamined="CHEST"), {"chest"}),
        (_ct("Thorax Lunge 1.0"), {"chest"}),
        (_ct(StudyDescription="CT CAP w contrast", SeriesDescription="lung"), {"chest"}),
        (
            _ct(ProtocolName="5.4 Chest/ Abd/ Pelvis*", StudyDescription="CT CAP"),
            {"chest", "abdomen", "pelvis"},
        ),
        (_ct("Schädel nativ"), {"head"}),
        (_ct("STD BRAIN 5MM", BodyPartExamined="BRAIN"), {"head"}),
        (_ct(BodyPartExamined="HEADNECK"), {"head", "neck"}),
        (_ct("LWS sagittal"), {"spine"}),
        (_ct("HWS"), {"spine"}),
        (_ct(AnatomicRegionSequence=[{"CodeValue": "51185008", "CodingSchemeDesignator": "SCT"}]), {"chest"}),
        (_mr("Prostate t2_tse"), {"pelvis"}),
        (_mr("Knie links"), {"leg"}),
        (_ct("Chester protocol"), set()),
        (_ct("T-Spine"), {"spine"}),
        (_ct("WHOLE BODY PET CT"), {"whole_body"}),
    ],
)
def test_parts_of_the_body(header: dict[str, Any], parts: set[str]) -> None:
    found = facts_of(understand(header)).get("body_part", ())
    assert set(found if isinstance(found, tuple) else (found,)) >= parts
    if not parts:
        assert not found


@pytest.mark.parametrize(
    ("header", "contrast"),
    [
        (_ct(ContrastBolusAgent="ISOVUE300/100"), True),
        (_ct(ContrastBolusAgent="ISOVUE", ContrastBolusRoute="IV"), True),
        (_ct(ContrastBolusRoute="Oral & IV"), True),
        (_ct(ContrastBolusAgent="ORAL", ContrastBolusRoute="ORAL"), False),
        (_ct(ContrastBolusAgent="NONE"), False),
        (_ct("Thorax nativ"), False),
        (_ct("HEAD W/O CONTRAST"), False),
        (_ct("Abdomen portal venous"), True),
        (_mr("AX T1 POST GD"), True),
        (_mr("t1_mprage +C"), True),
        (_ct("lung"), None),
    ],
)
def test_contrast(header: dict[str, Any], contrast: bool | None) -> None:
    assert facts_of(understand(header)).get("contrast") is contrast


@pytest.mark.parametrize(
    ("header", "flags"),
    [
        (_ct(), {"localizer": False, "derived": False, "secondary": False, "dose_report": False}),
        (_ct(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), {"localizer": True}),
        (_ct("Topogram 0.6 T80s"), {"localizer": True}),
        (_mr("3-plane loc"), {"localizer": True}),
        (_mr("AAHead_Scout"), {"localizer": True}),
        (_ct("Local tumour control"), {"localizer": False}),
        (_ct(ImageType=["DERIVED", "PRIMARY", "MPR"]), {"derived": True, "secondary": False}),
        (
            _ct("Dose Report", SOPClassUID=uid.SecondaryCaptureImageStorage),
            {"dose_report": True, "secondary": True},
        ),
        (_ct("Exam Summary", SOPClassUID=uid.SecondaryCaptureImageStorage), {"dose_report": True}),
        ({"SOPClassUID": uid.XRayRadiationDoseSRStorage, "Modality": "SR"}, {"dose_report": True}),
        (_ct("Low Dose Lung"), {"dose_report": False}),
        (_ct(ImageType=["DERIVED", "SECONDARY", "SCREEN SAVE"]), {"secondary": True}),
    ],
)
def test_sort_of_object(header: dict[str, Any], flags: dict[str, bool]) -> None:
    facts = facts_of(understand(header))
    assert {name: facts[name] for name in flags} == flags


def test_the_class_stands_above_what_modality_says() -> None:
    assert facts_of(understand(_mr(Modality="OT")))["modality"] == "MR"


@pytest.mark.parametrize(
    ("values", "age"),
    [
        ({"PatientAge": "045Y"}, 45),
        ({"PatientAge": "006M"}, 0.5),
        ({"PatientBirthDate": "19800501", "StudyDate": "20210501"}, 41),
        ({"PatientAge": "000Y", "PatientBirthDate": "19800501", "StudyDate": "20210501"}, 41),
        ({"PatientAge": "000Y"}, None),
        ({"PatientBirthDate": "20210501", "StudyDate": "20210501"}, None),
        ({"PatientBirthDate": "20210501", "StudyDate": "19800501"}, None),
        ({"PatientAge": "old"}, None),
    ],
)
def test_age(values: dict[str, str], age: float | None) -> None:
    found = facts_of(understand(_ct(**values))).get("age")
    assert found == (None if age is None else pytest.approx(age, abs=0.01))


def test_every_answer_has_evidence_and_a_name_that_rules_know() -> None:
    for header in (_mr("t1_mprage", **_gr(7, 3, 9)), _ct("Thorax nativ", ConvolutionKernel="B70f")):
        for answer in understand(header):
            assert answer.because
            assert 0 <= answer.confidence <= 1
            fact = FACTS[answer.fact]
            assert not fact.values or answer.value in fact.values
            assert (fact.sort == "flag") is isinstance(answer.value, bool)


def test_clues_against_each_other_leave_doubt() -> None:
    agreed = {a.fact: a for a in understand(_mr("t1_mprage", **_gr(7, 3, 9, SequenceVariant="MP")))}["kind"]
    alone = {a.fact: a for a in understand(_mr("t1_mprage"))}["kind"]
    contradicted = {a.fact: a for a in understand(_mr("t1_mprage", **_se(4000, 100)))}["kind"]
    assert agreed.confidence > alone.confidence > contradicted.confidence
    assert any(clue.startswith("against: spin echo") for clue in contradicted.because)
