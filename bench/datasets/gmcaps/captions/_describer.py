"""The describer style (domain SD): what volunteers write of a track, in a sentence or two."""

from __future__ import annotations

from bench.datasets.gmcaps.captions._grammar import StyleSource

__all__ = ["DESCRIBER"]

_GENRE = """
rock: rock | band-style rock | garagey rock | rock band
pop: pop | poppy | catchy radio | mainstream pop
jazz: jazz | jazzy | swinging jazz | smoky-bar jazz
blues: blues | bluesy | old blues | dusty blues
folk: folk | folky | campfire | traditional folk
country: country | country-sounding | cowboy | southern-style country
classical: classical | orchestral-sounding | baroque-ish | classical-sounding
house: house | electro dance | clubby EDM | Ibiza-style dance
techno: techno | industrial dance | rave-like | hard electronic
hip hop: hip hop | rap-style | hip-hop beat | boom bap
reggae: reggae | Jamaican-style | offbeat island | dubby
funk: funk | funky | groovy funk | James-Brown-like
metal: metal | heavy metal | headbanging | very heavy metal
latin: latin | Latin American | salsa-like | bossa nova
ambient: ambient | atmospheric drone | background-noise ambient | new age
disco: disco | seventies dance-floor | disco-ball | disco-like
"""

_MOOD = """
happy: happy | joyful | cheery | upbeat and happy | merry
sad: sad | gloomy | sorrowful | melancholic | down
calm: calm | mellow | relaxing | laid back | peaceful
energetic: energetic | lively | hyper | full of energy
dark: dark | evil-sounding | menacing | brooding
romantic: romantic | loving | lovey-dovey | tender
dreamy: dreamy | trance-like | floaty | heavenly
tense: tense | anxious | suspenseful | stressful
"""

_INSTRUMENT = """
piano: piano | piano chords | piano notes | piano playing
electric piano: electric piano | Rhodes-like keys | electric keyboard piano | soft e-piano
harpsichord: harpsichord | old-timey harpsichord | tinny harpsichord
music box: music box | jewellery-box chimes | toy box chimes
vibraphone: vibraphone | vibes | soft mallets
marimba: marimba | xylophone-like marimba | wooden xylophone
organ: organ | organ playing | organ chords | old organ
accordion: accordion | squeeze box | French-sounding accordion
harmonica: harmonica | mouth organ | harmonica notes
acoustic guitar: acoustic guitar | strummed guitar | unplugged guitar | picked wooden guitar
electric guitar: electric guitar | clean guitar | jangly guitar | electric guitar licks
distorted guitar: distorted guitar | heavy guitar | crunchy guitar riffs | fuzzy guitars
violin: violin | fiddle | violin playing
cello: cello | low bowed cello | deep bowed cello
strings: strings | orchestral strings | violins and violas | string orchestra
harp: harp | plucked harp | harp notes
choir: choir | wordless singing | choral singing | church-like choir
trumpet: trumpet | trumpet playing | trumpet solo
trombone: trombone | trombone slides | sliding trombone
brass section: brass section | horns | brassy horns | big-band brass
saxophone: saxophone | sax | sax lines | saxophone solo
clarinet: clarinet | clarinet tune | klezmer-like clarinet
flute: flute | whistling flute | breathy flute
pan flute: pan flute | pan pipes | Andean pipes
synth lead: synth lead | synth melody | electronic lead | beepy synth
synth pad: synth pad | synth pads | swirling pads | synth wash
sitar: sitar | Indian-sounding sitar | twangy sitar
banjo: banjo | banjo picking | plucky banjo
steel drums: steel drums | Caribbean pans | steelpan
"""

_RHYTHM = {
    "bass": """
acoustic bass: double bass | upright bass | standing bass
electric bass: bass guitar | electric bass | grooving bass guitar
synth bass: synth bass | electronic bass | wobbly bass
""",
    "drums": """
acoustic: drums | drum kit | live drums | kit drumming
brushes: brushed drums | soft drums | brushes on a snare
electronic: electronic beats | drum machine | synthetic beats | programmed drums
latin percussion: bongos | congas | latin percussion | shakers and congas
""",
    "tempo": """
slow: slow | slow-tempo | slow-moving | sluggish
medium: medium-tempo | mid-tempo | walking-pace | medium-paced
fast: fast | fast-paced | quick | high-speed
""",
    "mode": """
major: major key | major scale | major chords
minor: minor key | minor scale | minor chords
""",
    "family": """
guitar: guitar | guitars | guitar playing
synthesizer: synths | synthesizers
keyboard: keyboard | keys
""",
}

_OPENERS = """
a {mood} {genre} {piece}
3* a {mood} {genre} {piece} with {lead}
2* a {adj} {genre} {piece} with {ins} and a {adj} {part}
{mood} {genre} {piece} with {ins}
2* {genre} {piece}, {mood} and {adj}
a {tempo} {genre} {piece} with a {adj} {part}
{tempo}, {mood} {piece} with {lead}
2* a {genre} {piece} for {scene}
2* a {mood} {piece} for {use}
this is a {genre} {piece} played with {ins}
{mood} {lead} over {drums}
{lead} with {acc}, {mood} and {adj}
it sounds {mood}, {image}
the {lead} part makes it {mood} and {adj}
I hear {lead} and {drums}, {genre} I guess
instrumental {genre} {piece} featuring {ins}
makes me think of {scene}, {mood} {genre}
{mood} {piece} that reminds me of {scene}
{verdict} {genre} {piece} with {lead}
a {mood} {piece} with {ins}, {image}
{genre}, {mood}, {adj}
{adj} {piece} with a {genre} feel, {mood} and {verdict}
starts with {lead}, {genre} feel
a {verdict}, {mood} {piece}, {adv} {adj}
one {lead} {part}, {mood} and {adj}, repeated {adv}
{genre} {piece} from the {era} with {lead}
sounds like a {mood} {piece} by {people} from {city}
{mood} {piece} on {lead}
melody on {lead}, {mood}, {adj}
some {mood} {genre} {piece} in a {place}
{tempo} {mood} {genre}
what a {mood} {piece}, the {lead} part sounds {adj}
a {mood} {genre} {piece} that {verbs} and {verbs}
"""

_BODIES = """
 with {drums}
, with {drums}
, {tempo}
, {acc} in the background
, with {bass} and {drums}
 over {bass}
the rhythm is {tempo}
the mood is {mood}
feels {mood}
with a {genre} feel
later joined by {acc}
 played on {lead}
, mostly {lead}
, in {mode}
{drums} in the back
, kind of {genre}
, plus {acc}
"""

_FILLERS = """
3* , {image}
2*  for {scene}
2* , good for {doing}
reminds me of {scene}
perfect for {use}
could be in {use}
I imagine {scene}
, {adj} and {adv} {verdict}
the {part} {verbs} {adv}
it {verbs} and {verbs}, {image}
a bit {verdict}
, {doingto} the {part}
makes you think of {people} {doing}
feels like {doing} in {city}
 with a sense of {abstract}
, {adj} {parts} and a {adj} {part}
I can see {people} with {things}
suitable for {people}
there is something {verdict} and {adj} about it
, {verbing} {adv}
 with {adj} {parts}
the {adj} {part} gives it {abstract} and {abstract}
I would play this while {doing}
, as if a {animal} {doto} a {thing}
"""

DESCRIBER = StyleSource(
    name="describer",
    forms={"genre": _GENRE, "mood": _MOOD, "instrument": _INSTRUMENT, **_RHYTHM},
    openers=_OPENERS,
    bodies=_BODIES,
    fillers=_FILLERS,
    extras={
        "bpm": (0.005, " at {bpm}\n, around {bpm}\nabout {bpm}"),
        "negation": (
            0.052,
            """
3* , no {xthing}
2*  without {xthing}
it has no {xthing}
 but not {xmood}
, not too {xtempo}
, not really {xgenre}
no {xthing} at all
it doesn't sound {xmood}
it isn't {xtempo}
I can't hear any {xthing}
""",
        ),
    },
    stated=(2, 2, 3, 3, 4),
    words=(6, 9, 12, 15, 18, 21, 25, 31, 48),
    pools={"piece": "song | track | piece | tune | melody | instrumental | number | composition | jam"},
    family_share=0.25,
    zipf_offset=60.0,
    lower_start=0.075,
    bare_end=0.36,
)
