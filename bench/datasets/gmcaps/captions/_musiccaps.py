"""The musiccaps style (domain MC): several plain sentences that list what is heard, then a use."""

from __future__ import annotations

from bench.datasets.gmcaps.captions._grammar import StyleSource

__all__ = ["MUSICCAPS"]

_GENRE = """
rock: rock | rock music | alternative rock | soft rock
pop: pop | pop music | catchy pop | modern pop
jazz: jazz | jazz music | swing | big-band jazz
blues: blues | blues music | electric blues | blues shuffle
folk: folk | folk music | traditional folk | rural folk
country: country | country music | bluegrass | western-style country
classical: classical | classical music | orchestral classical | baroque music
house: house | house music | dance club | EDM
techno: techno | techno music | hard techno | underground rave
hip hop: hip hop | hip-hop | rap instrumental | boom bap
reggae: reggae | reggae music | dub reggae | dancehall
funk: funk | funk music | groovy funk | funk jam
metal: metal | heavy metal | metal music | death metal
latin: latin | latin music | salsa | bossa nova | Latin dance
ambient: ambient | ambient music | new age | meditation-style
disco: disco | disco music | disco funk-era | seventies disco
"""

_MOOD = """
happy: happy | cheerful | joyful | fun | uplifting
sad: sad | melancholic | mournful | sorrowful | emotional and sad
calm: calm | soothing | relaxing | tranquil | easygoing
energetic: energetic | vigorous | spirited | powerful and energetic
dark: dark | eerie | ominous | haunting | sinister
romantic: romantic | passionate | sentimental | sensual
dreamy: dreamy | ethereal | mesmerizing | trippy
tense: tense | suspenseful | intense and nervous | thrilling
"""

_INSTRUMENT = """
piano: piano | acoustic piano | piano keys | grand piano
electric piano: electric piano | e-piano | Rhodes keys | electric piano keys
harpsichord: harpsichord | harpsichord plucks | baroque harpsichord
music box: music box | music box chimes | toy music box
vibraphone: vibraphone | vibraphone mallets | vibes
marimba: marimba | marimba mallets | wooden marimba
organ: organ | organ keys | organ chords | sustained organ
accordion: accordion | accordion chords | button accordion
harmonica: harmonica | harmonica notes | wailing harmonica
acoustic guitar: acoustic guitar | fingerpicked acoustic guitar | acoustic rhythm guitar | strummed acoustic guitar
electric guitar: electric guitar | electric guitar notes | clean electric guitar | arpeggiated electric guitar
distorted guitar: distorted guitar | distorted electric guitar | overdriven electric guitar | aggressive guitar riffs
violin: violin | solo violin | bowed violin | fiddle
cello: cello | bowed cello | solo cello
strings: strings | string section | sustained strings | orchestral strings
harp: harp | harp arpeggios | harp plucks
choir: choir | choir voices | choral harmony | harmonized choir vocals
trumpet: trumpet | trumpet notes | solo trumpet
trombone: trombone | trombone notes | low trombone
brass section: brass section | brass hits | brass stabs | brass ensemble
saxophone: saxophone | saxophone notes | saxophone solo | sax
clarinet: clarinet | clarinet notes | woodwind clarinet
flute: flute | flute notes | wooden flute
pan flute: pan flute | pan pipes | pan flute notes
synth lead: synth lead | buzzing synth lead | synthesizer lead | bright synth lead
synth pad: synth pad | synth pad chords | sustained synth pad | atmospheric pads
sitar: sitar | sitar notes | Indian sitar
banjo: banjo | banjo plucks | picked banjo
steel drums: steel drums | steelpan | steelpan notes
"""

_RHYTHM = {
    "bass": """
acoustic bass: upright bass | double bass | acoustic bass
electric bass: bass guitar | electric bass guitar | groovy bass guitar
synth bass: synth bass | bassy synth | electronic bass
""",
    "drums": """
acoustic: acoustic drums | punchy kick and snare hits | drumming on an acoustic kit | acoustic drum beat
brushes: brushed drums | brushed snare | brush drumming
electronic: electronic drums | programmed percussion | electronic drum beat | drum machine beat
latin percussion: latin percussion | congas and bongos | conga percussion | Latin drumming
""",
    "tempo": """
slow: slow | slow-paced | slow-moving | leisurely
medium: medium | moderate | moderately paced | middling
fast: fast | quick | fast-paced | rapid
""",
    "mode": """
major: major key | major scale | major tonality
minor: minor key | minor scale | minor tonality
""",
    "family": """
guitar: guitar | guitars
synthesizer: synthesizer | synths
keyboard: keyboard | keyboard instrument
""",
}

_OPENERS = """
this is a {genre} {piece}
this is an instrumental {genre} {piece}
the {adj} recording features a {genre} {piece} that consists of {lead}
this {piece} features {lead} as the main instrument
a {genre} {piece} with {lead} playing a {adj} {part}
this {genre} {piece} features {lead} playing {adj} {parts}
this is a {mood} {piece} in the {genre} genre
the {piece} is {mood} and features {adj} {lead}
the {piece} contains {lead} and {acc}
here we have a {mood} {genre} {piece} from {city}
a {mood} {piece} of {genre} is playing
this audio contains {lead} playing a {adj} melody
{lead} playing {adj} {parts} can be heard
this {piece} is {mood}, {adj} and {adj}
a {adj} {genre} {piece} with {lead} leading the {part}
somebody is playing a {mood} melody on {lead}
what we hear is a {genre} {piece} with {drums}
the clip features {lead} over a {adj} {part}
"""

_BODIES = """
the main melody is played by {lead}
the melody is performed on {lead} in the {adj} register
in the background there is {acc}
{acc} can be heard in the background
it is accompanied by {acc}
the accompaniment consists of {acc} and {adj} {parts}
the rhythm is provided by {drums}
the rhythmic background consists of {drums}
a {adj} bass line is played by {bass}
the low end is filled by {bass}
the {bass} and the {drums} play together
the rhythm section consists of {drums} and {bass}
the tempo is {tempo} throughout
the {piece} is {tempo}
it has a {tempo} rhythm with {adj} accents
the mood of the {piece} is {mood}
it sounds {mood} and {adj}
the atmosphere is {mood}
the overall feeling is {mood} and {verdict}
the harmony stays in a {mode}
the chords suggest a {mode}
it is in the {genre} genre
the style is close to {genre}
on top of that one can hear {lead}
the {adj} {part} on {lead} is repeated {adv}
a {adj} pulse is kept by {drums} in the back
"""

_FILLERS = """
2* this {piece} could be used in {use}
2* this {piece} may be playing at a {place}
this {piece} can be played in {use}
it could be playing while {doing} with {people}
it would suit {use}
it sounds like something you would hear while {doing} near the {place}
the {adj} {part} {verbs} {adv} and {doto} the {parts}
the {part} is {adj}, {adj} and {adj}
it has a {adj} {part} {image}
the sound is {adv} {adj}, {image}
there is a {adj} {part} {doingto} the {adj} {part}
the {parts} are {adj} and {adj}
one can imagine {people} {doing} at the {place}
the recording is {verdict} and {adj}
2* it brings {things}, {things} and {animals} to mind
2* the listener may picture a {thing}, a {thing} and a {person}
it calls up {places} and {things}
it is the kind of {piece} that a {person} would choose for {doing}
it resembles a {thing} next to a {thing}
at one point a {adj} {part} {verbs} {adv}
the {piece} has a sense of {abstract} and {abstract}
the {adj} texture is {image}
the {part} is {adv} {doneto} by {adj} {parts}
it is {adj}, with {parts} {doneto} by a {adj} {part}
it may remind {people} of {city} and {food}
this {piece} would work for {topic}, {topic} and {topic} {formats}
in the end the {part} {verbs} into {abstract}
the listener may think of {scene}
the arrangement is {adj}, {doingto} each {part} {adv}
it could serve {people} who enjoy {doing} and {food}
the effect is {verdict}, {verdict} and {adv} {adj}
the composition shows {abstract}
"""

MUSICCAPS = StyleSource(
    name="musiccaps",
    forms={"genre": _GENRE, "mood": _MOOD, "instrument": _INSTRUMENT, **_RHYTHM},
    openers=_OPENERS,
    bodies=_BODIES,
    fillers=_FILLERS,
    extras={
        "negation": (
            0.108,
            """
2* this {piece} has no {xthing}
it has no {xthing}
3* this {piece} is played without {xthing}
no {xthing} can be heard
the {piece} does not feature any {xthing}
the tempo is not {xtempo}
the mood is not {xmood}
it does not sound like {xgenre}
, without any {xthing}
one can't hear any {xthing} in the {part}
""",
        ),
    },
    stated=(5, 5, 6, 6, 7, 8),
    words=(18, 29, 34, 39, 44, 49, 55, 64, 92),
    pools={"piece": "song | piece | track | tune | instrumental | composition | recording | excerpt"},
    family_share=0.15,
    zipf_offset=400.0,
    lower_start=0.006,
    bare_end=0.003,
)
