"""The words of press releases, brochure and contracts. Every company, person and award in them is invented.

Blocks are set apart by empty lines; `# ` starts a title, `## ` a heading, `- ` a list item, `---` a new page.
"""

from __future__ import annotations


def _blocks(text: str) -> list[str]:
    return [" ".join(block.split()) for block in text.split("\n\n") if block.strip()]


RELEASE = _blocks("""
# Spring collection: new glazes, old forms

Lübeck, 20 March. nordlicht presents its spring collection: twelve pieces of stoneware, two lamps and two
scents, all made in the workshop at the harbour.

For immediate release. Journalists are welcome to use text and pictures free of charge if the source is named.

## What is new

The terracotta mug returns after four years. Its glaze is mixed from clay of the region and fired at 1,240
degrees, which makes it fit for the dishwasher. A mug in sage and a bowl in indigo join it.

The table lamp has a shade of linen and a foot that is turned from one piece of oak. It takes any bulb with an
E27 thread and needs 8 watts.

"We did not want more things, we wanted things that stay," says founder Zoë Brandt. "So we went through
everything we ever made and kept what people still ask for."

## Prices and dates

The collection is in the shops from 20 March. Mugs cost 22 euros, bowls 48 euros, the lamp 129 euros.

---

# About nordlicht

nordlicht makes tableware, lamps and scents in Lübeck. The company was founded in 2012, has 31 employees and
sells in Germany and Austria. Last year 27,200 people visited its open studio.

## Contact for the press

Zoë Brandt, press@nordlicht.example, telephone 0451 5550 114

Pictures in print resolution are in the press kit.
""")

AWARD = _blocks("""
# Design award for a table lamp

Lübeck, 2 February. The jury of the Northern Form Award honours the table lamp by nordlicht in the category
Light. The prize of 5,000 euros goes to the workshop for apprentices.

"A lamp without a screw too many," the jury writes. Of 214 entries from nine countries, eleven were honoured.

## Contact for the press

Zoë Brandt, press@nordlicht.example
""")

BROCHURE = _blocks("""
# nordlicht

The spring collection: stoneware, light and scent, made by hand at the harbour of Lübeck.

[meadow]

---

# Tableware

Mugs, bowls and plates of stoneware, thrown on the wheel, glazed by hand, fired once at 1,240 degrees. Each
piece carries the mark of the person who made it.

[mug]

Mug, 320 ml: terracotta, sage, night. Bowl, 28 cm: indigo, sand.

---

# Light

Two lamps that need no instructions. The shade is linen, the foot oak, the rest brass that may grow old.

[lamp]

Table lamp, 46 cm: linen and slate, linen and rust.

---

# Where to find us

The workshop is open on Saturdays and Sundays from 10 to 18 h. Everything in this brochure can be ordered in
Germany and Austria.

nordlicht GmbH, An der Untertrave 14, 23552 Lübeck
""")

FACTS = _blocks("""
nordlicht makes tableware, lamps and scents in Lübeck.

## Numbers

- Founded in 2012

- 31 employees, four of them apprentices

- 27,200 visitors last year

- Two markets: Germany and Austria

## People

Zoë Brandt, founder, speaks for the company. Amélie Laurent leads the pottery.
""")

FRAME_AGREEMENT = _blocks("""
# Frame agreement AX-2026-02

between nordlicht GmbH, Lübeck (the Client) and Agency X, Hamburg (the Agency).

## 1. Subject

The Agency makes photographs, films and layouts for the campaigns of the Client. Each order names motif, number
and date of delivery.

## 2. Rights granted

The Agency grants the Client the right to publish the works on the web in Germany and Austria until the end of
the term that the schedule of motifs names. Where the schedule names one country, the right is limited to it.
Sublicences need consent in writing.

## 3. Credit

Each use carries the line: Noor El-Sayed / Agency X. The line may stand in the metadata of the file.

---

## 4. Persons shown

The Agency obtains a model release from each person who can be recognised, and hands it over with the pictures.
Without a release, a picture may not be used commercially.

## 5. Machines

The Agency's works may be sorted and described by software of the Client. They may not be used to train models.
For single motifs the schedule may forbid any processing by artificial intelligence.

## 6. Fee

The fee is 6,400 euros for each campaign, due 30 days after delivery.

---

## 7. Term and end

The agreement runs for twelve months and can be terminated with a notice of three months. Rights granted for
single motifs last until their own end.

## 8. Law

German law applies. Place of jurisdiction is Lübeck.

Lübeck, 2 February 2026. Signed: Zoë Brandt for the Client, Noor El-Sayed for the Agency.
""")

MODEL_RELEASE = _blocks("""
# Model release

I, Amélie Laurent, agree that photographs taken of me on 14 January 2026 in the pottery in Lübeck may be
published and edited by nordlicht GmbH and its agencies for advertising, on the web, without limit in time and
territory.

I have received a fee of 300 euros. I was told that I may withdraw my consent for good reason.

Lübeck, 14 January 2026. Signed: Amélie Laurent
""")

NDA = _blocks("""
between nordlicht GmbH (the Discloser) and Castillo Retouching (the Recipient).

## Confidential information

Confidential are all pictures, texts and plans of campaigns that are not published yet, in particular those of
the summer campaign.

## Duties

The Recipient shows them to nobody, keeps them on encrypted media only, and deletes them on request within seven
days.

## Penalty

For each breach the Recipient pays 5,000 euros. The duties end five years after signing.
""")

DECK = [
    ("Spring collection", ["Twelve pieces, two lamps, two scents", "In the shops from 20 March"]),
    ("Tableware", ["Terracotta is back", "New: sage and indigo", "22 to 48 euros"]),
    ("Light", ["Linen, oak, brass", "8 watts, E27", "129 euros"]),
    (
        "Next steps",
        ["Pictures approved by the end of February", "Web shop in Germany and Austria", "Open studio in April"],
    ),
]
