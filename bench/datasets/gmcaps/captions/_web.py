"""The web style (domain WEB): titles, tags and short blurbs as found beside tracks on web pages."""

from __future__ import annotations

from bench.datasets.gmcaps.captions._grammar import StyleSource

__all__ = ["WEB"]

_GENRE = """
rock: rock | indie rock | alt rock | rock n roll
pop: pop | bubblegum pop | chart pop | pop hit
jazz: jazz | smooth jazz | bebop | jazz club
blues: blues | delta blues | electric blues | twelve-bar blues
folk: folk | indie folk | folk song | fireside folk
country: country | honky-tonk | country & western | Americana
classical: classical | baroque | chamber music | orchestral classical
house: house | tech house | deep house | club house
techno: techno | acid techno | minimal techno | rave
hip hop: hip hop | rap beat | lofi hip hop | trap beat
reggae: reggae | dub | island reggae | roots reggae
funk: funk | P-funk | funky groove | jazz-funk
metal: metal | heavy metal | death metal | headbanger
latin: latin | salsa | bossa | mambo | cumbia
ambient: ambient | soundscape | drone | background ambient
disco: disco | seventies disco | disco fever | disco edit
"""

_MOOD = """
happy: happy | uplifting | cheerful | good vibes | smiley
sad: sad | melancholy | tearful | crying
calm: calm | chill | relaxing | peaceful
energetic: energetic | hyped | pumping | powerful
dark: dark | evil | creepy | sinister
romantic: romantic | love | sensual | passionate
dreamy: dreamy | spacey | ethereal | floating
tense: tense | suspense | nervous | thriller
"""

_INSTRUMENT = """
piano: piano | grand piano | piano keys | upright piano
electric piano: electric piano | Rhodes | e-piano | EP
harpsichord: harpsichord | cembalo | clavecin
music box: music box | musical box | toy music box
vibraphone: vibraphone | vibes | vibraharp
marimba: marimba | marimbas | wood mallets
organ: organ | organs | organ solo | organ riff
accordion: accordion | squeezebox | bandoneon
harmonica: harmonica | mouth organ | diatonic harmonica
acoustic guitar: acoustic guitar | ac. guitar | unplugged guitar | fingerpicked guitar
electric guitar: electric guitar | e-guitar | clean guitar | Strat
distorted guitar: distorted guitar | fuzz guitar | crunchy guitar | overdriven guitar
violin: violin | fiddle | solo violin
cello: cello | cellos | violoncello
strings: strings | string orchestra | string ensemble | violins & violas
harp: harp | harps | Celtic harp
choir: choir | choral | chorus voices | choir singing
trumpet: trumpet | trumpets | trumpeter
trombone: trombone | trombones | slide trombone
brass section: brass section | horns | big brass | brass band
saxophone: saxophone | sax | sax solo | saxy
clarinet: clarinet | clarinets | licorice stick
flute: flute | flutes | transverse flute
pan flute: pan flute | panpipes | zampona
synth lead: synth lead | lead synth | saw lead | square lead
synth pad: synth pad | pads | warm pad | soft pad
sitar: sitar | Indian sitar | sitars
banjo: banjo | banjos | five-string banjo
steel drums: steel drums | steelpan | steel pan band
"""

_RHYTHM = {
    "bass": """
acoustic bass: double bass | contrabass | upright bass
electric bass: bass guitar | electric bass | e-bass
synth bass: synth bass | 808 bass | reese bass
""",
    "drums": """
acoustic: live drums | drum kit | acoustic drums | real drums
brushes: brushes | brushed snare | brushed drums
electronic: drum machine | 808 drums | electronic drums | programmed beats
latin percussion: congas | bongos | latin percussion | timbales
""",
    "tempo": """
slow: slow | slowed | low tempo | downtempo
medium: mid-tempo | medium tempo | midtempo
fast: fast | uptempo | high tempo | speedy
""",
    "mode": """
major: major | major key | major scale
minor: minor | minor key | minor scale
""",
    "family": """
guitar: guitar | guitars | gtr
synthesizer: synth | synths
keyboard: keys | keyboard
""",
}

_OPENERS = """
{mood} {genre} {piece}
{genre} - {mood} {lead}
{mood} {lead} {piece}
{lead} {genre} {piece}
{thing} {thing} - {mood} {genre} with {lead}
the {adj} {thing} ({genre}, {lead})
{mood} {tempo} {genre} {piece} for {doing}
free {mood} {genre} {piece} with {lead}
{genre}: {lead} + {acc}
tags: {genre}, {mood}, {lead}
tags: {mood}, {genre}, {lead}, {drums}, {topic}
[{genre}] {colour} {things}
"{adj} {things}" | {mood} {genre}
{city} {time} | {lead} {genre}
{mood} {lead} and {acc}
{mood} background {piece} with {ins}
royalty free {genre} | {mood} | {ins}
{genre} {piece} feat. {lead} & {bass}
{lead} and {drums}, {mood} {genre}
my new {genre} {piece} with {lead}
listen to this {mood} {genre} {piece} from {city}
{tempo} {genre} {piece}: {lead}, {drums}
{mood}, {tempo}, {genre}
#{genre} #{mood} #{topic}
{genre} / {mood} / {adj}
{animal} {place} ({mood} {lead} version)
{piece} of the {time}: {mood} {genre}
{genre} {lead} cover of "{colour} {thing}"
best {genre} {piece} for {doing} and {doing}
{people} of {city} - {genre} {piece}
{mood} {genre} mix
download: {mood} {genre} {piece}, {ins}
"""

_BODIES = """
, {mood}
, {genre}
, {lead}
 with {acc}
 feat. {acc}
 | {drums}
 + {drums} + {bass}
, {tempo}
 ({tempo})
 | {tempo} | {adj}
 / {mood}
, {drums} and {bass}
, {acc}
instruments: {acc}, {bass}
mood: {mood}
genre: {genre}
tempo: {tempo}
 - {lead} {parts}
, {mode}
 ({mode})
played on {lead}
{mood} vibes
"""

_FILLERS = """
 for {topic} {formats}
 | {scene}
 for {doing} and {doing}
, {adj} and {adj}
great for {use}
recorded in {city}
made for {people}
from the {topic} {format}
 - {adj} mix
 - {adj} {part}
{adj}, {verdict}, {verdict}
for {topic}, {topic}, {topic}
enjoy {doing} at the {place}
{season} in {city}
sounds {image}
use it in {use}
, {colour} {thing} edit
{verdict} {era} sound
thanks to all {people}
"""

WEB = StyleSource(
    name="web",
    forms={"genre": _GENRE, "mood": _MOOD, "instrument": _INSTRUMENT, **_RHYTHM},
    openers=_OPENERS,
    bodies=_BODIES,
    fillers=_FILLERS,
    extras={
        "key": (0.05, " in {key}\n, in {key}\nkey: {key}\n (in {key})\n | key of {key}"),
        "bpm": (0.08, " ({bpm})\n, {bpm}\n | {bpm}\n [{bpm}]\nspeed {bpm}"),
        "negation": (
            0.08,
            """
2* , no {xthing}
2*  (no {xthing})
2*  without {xthing}
 - no {xthing}
no {xthing}
not {xgenre}
not {xtempo}
not {xmood}
 | no {xthing} version
100% without {xthing}
""",
        ),
    },
    stated=(3, 3, 4, 4, 5),
    words=(6, 10, 13, 15.5, 17.5, 19.5, 22, 26, 34),
    pools={"piece": "track | music | beat | song | tune | instrumental | loop | jam | anthem | soundtrack"},
    family_share=0.2,
    max_clauses=4,
    lower_start=0.2,
    bare_end=0.7,
    title_case=0.2,
)
