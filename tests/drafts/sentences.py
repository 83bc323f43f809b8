"""Sentences about one made-up patient's lungs, written by hand: true ones, and all that is not supported.

Of the left lung 2450.3 ml and -850 HU were measured, of the right one 2801.0 ml and -841 HU; a nodule is
present, a cyst and a pleural effusion are absent.
"""

from __future__ import annotations

TRUE_OF_LUNGS = """
The left lung measures 2450 ml.
The left lung measures 2450.3 ml, the right lung 2801.0 ml.
Left lung: 2,450 ml.
Right lung: 2.80 L.
2450 ml were measured in the left lung.
The volumes of the left and right lung are 2450 ml and 2801 ml, respectively.
The left lung has a volume of 2450 ml and a mean density of -850 HU.
The left lung has a mean attenuation coefficient of −850 HU.
The lungs were segmented on the left and the right side.
The left and right lung were segmented.
A nodule is present.
There is a nodule and no cyst.
No cyst or pleural effusion is seen.
No cyst, pleural effusion.
There is no cyst in the left lung.
No pleural effusion was identified on this CT scan.
The CT shows a left lung volume of 2450 ml.
Impression: left lung volume 2450 ml, right lung volume 2801 ml.
The left lung was segmented with a volume of 2450 ml and shows no cyst.
The right lung (2801 ml) was measured.
The left-sided lung volume is 2450 cm3.
On the left, the lung measures 2450 ml.
On the left the lung measures 2450 ml, on the right it measures 2801 ml.
The left lung volume was automatically estimated to be ~2450 ml.
The left lung has a volume of 2450 cubic centimetres.
Automated volumetric analysis gives a left lung volume of 2450 ml.
Left lung – 2450 ml.
Both lungs were segmented.
The lungs were identified bilaterally.
Bilateral lung segmentation is shown.
Left lung volume: 2450.3 ml.
The left lung has a volume of 2450 ml, and the right lung has a volume of 2801 ml.
The right lung volume is 2801 ml.
A nodule is seen.
A nodule was detected.
There is no pleural effusion.
No pleural effusion.
No cyst was found.
The right lung measures 2801 ml with a mean density of -841 HU.
The mean density of the left lung is -850 HU and that of the right lung is -841 HU.
The left and right lungs measure 2450 ml and 2801 ml, respectively.
The volume of the left lung is 2.45 L.
There is a nodule, no cyst and no pleural effusion.
Nodule present.
Cyst absent.
The left lung volume measures 2450 mL.
The measured volume of the right lung is 2801 ml.
Pleural effusion is absent.
The mean attenuation of the right lung is -841 HU.
No right pleural effusion is seen.
""".strip().splitlines()

FALSE_OF_LUNGS = """
The left lung measures 2801 ml.
The left lung measures 2450 ml, the right lung 2450 ml.
The right lung measures 2450 ml and the left 2801 ml.
The volumes of the left and right lung are 2801 ml and 2450 ml, respectively.
The volumes of the right and left lung are 2450 and 2801 ml, respectively.
The left and right lung measure 2450 ml.
The left or right lung measures 2450 ml.
The lung measures 2450 ml.
Both lungs measure 2450 ml.
The lungs measure 2450 ml bilaterally.
The left lung measures 2450–2801 ml.
The left lung has a volume of 2450 square centimetres.
On the right, the lung measures 2450 ml.
Both nodules are seen.
A nodule is present, on the left.
A nodule is present on the right and the left.
The left lung measures 2450 ml, and the right.
On the left.
The left lung measures 2450.
The left lung measures 2450 mm.
The left lung measures 2 L.
The left lung measures 2450-2801 ml.
The left lung measures 2450/2801 ml.
The left lung measures more than 2450 ml.
The left lung measures at least 2450 ml.
The left lung lost 2450 ml.
The left lung does not measure 2450 ml.
The left lung measures 245 ml.
The left lung measures 24503 ml.
The left lung measures 2.450 ml.
The left lung measures 2450 ml in the prior study.
The left lung measures 2450 ml, unchanged.
The left lung is normal.
The left lung is enlarged.
The left lung volume is 2450 ml, which is within normal limits.
The left upper lobe measures 2450 ml.
The left kidney measures 2450 ml.
The left lung has a density of 850 HU.
The left lung has a mean density of +850 HU.
The left lung has a mean density of 2450 ml.
The left lung has a volume of -850 HU.
No nodule is present.
There is no evidence of a nodule.
The nodule is absent.
A cyst is present.
There is a cyst and no nodule.
No nodule or cyst is seen.
There is not no nodule.
Neither nodule nor cyst is seen.
A nodule is present in the left lung.
A nodule of 2450 ml is present.
The left lung measures 2450 ml and contains a nodule.
The left lung with a nodule measures 2450 ml.
A nodule, seen in the left lung, is present.
On the left, a nodule is present.
A nodule is present on the left.
Two nodules are present.
A malignant nodule is present.
A nodule is possibly present.
Is a nodule present?
The nodule is not in the left lung.
There is no left lung.
The left lung is absent.
The left lung is not seen.
Pneumothorax is present.
No pneumothorax.
No fracture is seen.
There is a left nodule.
The patient should return for follow-up.
Clinical correlation is recommended.
The MRI shows a left lung volume of 2450 ml.
The chest X-ray shows a nodule.
Both lungs are clear.
It is seen.
The left lung measures 2450 ml per minute.
The left lung measures 2450 ml².
The left lung measures 1e3 ml.
The left lung measures 2450 ml on 12/03/2020.
The left lung measures two ml.
The left lung contains 2450 ml of fluid.
The left lung measures 2450 ml and contains a mass.
The right lung measures 2801 ml with a tumour of 2450 ml.
Left lung 2450 ml. ± 3
Lung left right 2450 ml.
The left lung volume of 2450 ml is consistent with emphysema.
Left lung volume is 2450 ml on the right side.
The right and left lungs have volumes of 2450 ml and 2801 ml.
The left lung measures 2450 ml; the right lung does too.
The right lung measures the same as the left lung.
The left lung measures 2,801 ml.
The left lung is 2.45 ml.
The left lung measures 2450 cc per side.
The left lung measures 2450000 mm.
Left lung: 2450 HU.
Left lung -850 ml.
The mean density of the right lung is -850 HU.
The right lung has a mean density of −850 HU.
The left lung has a mean density of -841 HU and the right of -850 HU.
Nodule absent, cyst present.
A nodule and a cyst are present.
Nodules are not seen.
There is no nodule, but a cyst is present.
There is neither a cyst nor a nodule.
A nodule cannot be excluded.
A cyst cannot be ruled out.
No cyst is absent.
Without nodule.
There is a large nodule.
There is a small nodule of 5 mm.
There is a single nodule.
One nodule is present.
Several nodules are present.
Multiple nodules are present.
The nodule is benign.
The nodule is calcified.
The nodule measures 2450.3 ml.
The nodule has grown.
The nodule is new.
The nodule is unchanged.
There is bilateral pleural effusion.
There is a left pleural effusion.
The left lung has a volume of 2450 ml and the heart is normal.
The total lung volume is 5251.3 ml.
The total volume is 5251 ml.
The lungs total 5251 ml.
The difference between the lungs is 351 ml.
The right lung is larger than the left lung.
The left lung is smaller.
The left lung makes up 47 % of the total.
The left lung volume is 87 % of the right lung.
The left lung has a volume of 2450 ml in a 65-year-old patient.
The left lung of the male patient measures 2450 ml.
The left lung measured 2450 ml yesterday.
Today the left lung measures 2450 ml.
The left lung measures about 2400 ml.
The left lung measures approximately 2500 ml.
The left lung measures nearly 2450 ml.
The left lung measures under 2450 ml.
The left lung measures up to 2450 ml.
The left lung measures 2450 ml or more.
The left lung should measure 2450 ml.
The left lung would measure 2450 ml.
The left lung may measure 2450 ml.
If the left lung measures 2450 ml, a nodule is present.
The left lung measures 2450 ml because a nodule is present.
The left lung measures 2450 ml due to a nodule.
Lungs left: 2801 ml, right: 2450 ml.
Left: 2801 ml. Right: 2450 ml.
L lung 2801 ml.
R lung 2450 ml.
Lt lung 2801 ml.
The left lung measures 2450 ml and -841 HU.
The right lung measures 2801 ml and -850 HU.
The lung on the opposite side measures 2450 ml.
The other lung measures 2450 ml.
The contralateral lung measures 2450 ml.
The left-lung lobe measures 2450 ml.
The left hemithorax measures 2450 ml.
The left bronchus is seen.
The trachea was segmented.
The liver was segmented.
The left lung contains a cyst.
The left lung contains no nodule.
The left lung is free of nodules.
Negative for nodule.
Positive for cyst.
The CT of the abdomen shows a nodule.
The ultrasound shows a nodule.
PET shows a nodule.
The left lung measures twenty four hundred and fifty ml.
The left lung measures 2450 millilitres squared.
The left lung measures 2450 ml (normal 3000 ml).
The left lung measures 2450 ml [1].
The left lung measures 2450 ml, 2801 ml.
The left lung volume is 2450 ml, the right 2450 ml.
Left lung 2450 ml right lung -850 HU.
The left lung measures 2450 ml?
Nodule: absent.
Cyst: present.
Pleural effusion: present.
Nodule: no.
Cyst: yes.
The nodule was not identified.
The nodule was excluded.
A nodule was ruled out.
""".strip().splitlines()
