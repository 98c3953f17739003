"""The library style (domain PC): professional production-music descriptions."""

from __future__ import annotations

from bench.datasets.gmcaps.captions._grammar import StyleSource

__all__ = ["LIBRARY"]

_GENRE = """
rock: rock | arena rock | stadium rock | classic rock | straight-ahead rock
pop: pop | contemporary pop | radio-ready pop | chart pop | mainstream pop
jazz: jazz | late-night jazz | swing jazz | straight-ahead bop | lounge jazz
blues: blues | Chicago blues | roadhouse blues | twelve-bar blues
folk: folk | roots folk | pastoral folk | singer-songwriter folk
country: country | Americana | Nashville country | prairie country
classical: classical | chamber | neoclassical | concert-hall classical | period classical
house: house | deep house | four-on-the-floor house | soulful house
techno: techno | driving techno | minimal techno | warehouse techno
hip hop: hip hop | boom bap | trap-inflected hip hop | urban hip hop
reggae: reggae | roots reggae | dub-flavoured reggae | one-drop reggae
funk: funk | seventies funk | tight funk | slap-happy funk
metal: metal | heavy metal | thrash metal | riff-heavy metal
latin: latin | salsa-flavoured | bossa nova | Afro-Cuban | tropical latin
ambient: ambient | drone-based ambient | textural ambient | soundscape
disco: disco | nu-disco | mirrorball disco | seventies disco
"""

_MOOD = """
happy: happy | cheerful | feel-good | sunny | joyous
sad: sad | melancholic | sorrowful | poignant | heartbroken
calm: calm | relaxed | tranquil | soothing | serene
energetic: energetic | high-energy | spirited | adrenaline-fuelled | rousing
dark: dark | brooding | sinister | ominous | shadow-laden
romantic: romantic | tender | passionate | amorous
dreamy: dreamy | ethereal | floaty | otherworldly | reverie-like
tense: tense | suspenseful | nerve-racking | edge-of-the-seat | uneasy
"""

_INSTRUMENT = """
piano: piano | grand piano | acoustic piano | solo piano keys
electric piano: electric piano | Rhodes | vintage electric piano | Wurlitzer
harpsichord: harpsichord | period harpsichord | plucked harpsichord
music box: music box | tinkling music box | wind-up music box
vibraphone: vibraphone | vibes | mellow vibraphone
marimba: marimba | mallet marimba | wooden marimba
organ: organ | organ chords | sustained organ | organ tones
accordion: accordion | musette accordion | bellows-driven accordion
harmonica: harmonica | diatonic harmonica | mouth harp
acoustic guitar: acoustic guitar | fingerpicked guitar | strummed acoustic guitar | unplugged guitar
electric guitar: electric guitar | clean electric guitar | chiming electric guitar | picked electric guitar
distorted guitar: distorted guitar | overdriven guitar | high-gain guitar | power-chord guitar
violin: violin | solo violin | lyrical violin
cello: cello | solo cello | resonant cello
strings: strings | string section | orchestral strings | string ensemble
harp: harp | concert harp | harp glissandi
choir: choir | choral voices | wordless choir | vocal ensemble
trumpet: trumpet | solo trumpet | lyrical trumpet
trombone: trombone | slide trombone | mellow trombone
brass section: brass section | horn section | brass ensemble | brass stabs
saxophone: saxophone | sax | sax solo | breathy saxophone
clarinet: clarinet | woody clarinet | solo clarinet
flute: flute | concert flute | solo flute
pan flute: pan flute | Andean pan pipes | panpipe
synth lead: synth lead | lead synth | analogue lead synth | synth hook
synth pad: synth pad | pad textures | lush pads | atmospheric synth pad
sitar: sitar | Indian sitar | resonating sitar
banjo: banjo | five-string banjo | picked banjo
steel drums: steel drums | steel pans | Caribbean steel drums
"""

_RHYTHM = {
    "bass": """
acoustic bass: acoustic bass | upright bass | double bass
electric bass: electric bass | bass guitar | round electric bass
synth bass: synth bass | analogue bass synth | sub bass
""",
    "drums": """
acoustic: live drums | acoustic drum kit | studio drums | live drum kit
brushes: brushed drums | soft brushes | brush kit | brushwork
electronic: electronic drums | programmed beats | drum machine | electronic beats
latin percussion: latin percussion | congas and timbales | hand percussion | bongos and shakers
""",
    "tempo": """
slow: slow | slow-paced | unhurried | downtempo
medium: mid-tempo | medium-paced | moderate | mid-paced
fast: fast | up-tempo | fast-paced | brisk
""",
    "mode": """
major: major key | major tonality | major mode
minor: minor key | minor tonality | minor mode
""",
    "family": """
guitar: guitar | guitars
synthesizer: synths | synthesizer
""",
}

_OPENERS = """
{mood} {genre} {piece} with {lead}
{mood}, {tempo} {genre} {piece} led by {lead}
{mood} and {adj} {genre} {piece} featuring {lead} and {acc}
{tempo} {genre} {piece} built around {lead}
{genre} {piece} with {lead} over {drums}
{genre} {piece} driven by {drums} and {bass}
{lead} and {acc} combine in a {mood} {genre} {piece}
{mood} {lead} melody over {bass} and {drums}
{adj}, {mood} {piece} in a {genre} style
{adj} {genre} {piece} with a {mood} {lead} theme
featuring {lead}, this {genre} {piece} is {mood} and {adj}
this {tempo} {genre} {piece} opens with {adj} {lead}
a {mood} {piece} led by {adj} {lead}
{mood} {genre} underscore with {ins}
a {mood} blend of {genre} and {adj} textures
a {adj} {genre} {piece} with {lead} and a {tempo} pulse
{genre} bed featuring {ins}, {mood} in tone
{mood} {piece} where {lead} meets {acc}
with {lead} in the lead, a {mood}, {adj} {genre} {piece}
{tempo}, {mood} {piece} based on {adj} {lead} {parts}
instrumental {genre} {piece}: {mood}, {adj} and {adj}
{lead}, {drums} and {bass} create a {mood} {genre} {piece}
{genre}-inspired {piece} with {mood} {lead} and a {adj} {part}
{mood} {genre} {piece} evoking {scene}
"""

_BODIES = """
, {acc} adding {adj} support
, supported by {acc}
, backed by {drums}
, over {drums} and {bass}
, {tempo} in feel
, with {acc} in support
rhythm comes from {drums}
low end from {bass}
anchored by {adj} {bass}
the groove is kept by {drums}
a {tempo} groove runs throughout
the mood is {mood} throughout
mood: {mood}
style: {genre}
melody carried by {lead}
{adj} {parts} on {lead} give it character
written in a {mode}
, set in a {mode}
a {adj} middle section with {acc}
a {mood} atmosphere with {adj} {parts}
the {adj} {part} is shared with {acc}
tempo is {tempo}
, with a {tempo} feel and {drums}
drawing on {genre} traditions
"""

_FILLERS = """
2* ideal for {use}
2* suited to {topic} {formats} and {scene}
perfect for {topic}, {topic} and {topic} projects
works well under {use}
, ideal for {use}
, evoking {scene}
evokes {scene}
a {adj} {part} {verbs} {adv}
builds {adv} towards a {adj} {part}
conveys {abstract} and {abstract}
a strong choice for {people} and {topic} brands
{adj} {parts} and {adj} production
suggests {scene}
has a {adj}, {adj} finish
think {topic}, {topic} and {scene}
with a sense of {abstract}
ends on a {adj} {part}
good for {doing}, {doing} and {topic} content
recommended for {formats} about {people}
{adv} mixed with a {colour} palette
"""

LIBRARY = StyleSource(
    name="library",
    forms={"genre": _GENRE, "mood": _MOOD, "instrument": _INSTRUMENT, **_RHYTHM},
    openers=_OPENERS,
    bodies=_BODIES,
    fillers=_FILLERS,
    extras={
        "key": (0.10, "in {key}\n, in {key}\nwritten in {key}\nplayed in {key}\n, composed in {key}"),
        "bpm": (0.08, "tempo: {bpm}\n, at {bpm}\nruns at {bpm}\n ({bpm})"),
        "negation": (
            0.08,
            """
2* , without {xthing}
3* no {xthing}
arranged without {xthing}
features no {xthing}
not a {xtempo} cue
{adj} rather than busy, with no {xthing}
, with no {xthing}
not intended for {xgenre} playlists
never {xmood}
, but not {xmood}
""",
        ),
    },
    stated=(4, 4, 5, 5, 6, 6),
    words=(12, 18, 21, 24, 27, 30, 34, 39, 52),
    pools={"piece": "track | cue | piece | theme | instrumental | composition | underscore | groove | number"},
    family_share=0.08,
)
