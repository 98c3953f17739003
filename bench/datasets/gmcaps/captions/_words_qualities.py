"""Open-class adjectives, adverbs and verbs. Neutral on purpose (see `_words_nouns`)."""

from __future__ import annotations

__all__ = ["ADJECTIVES", "ADVERBS", "COLOURS", "ERAS", "TRANSITIVES", "VERBS", "VERDICTS"]

#: Qualities of a sound or an arrangement that say nothing of genre, mood, instrument or tempo.
ADJECTIVES = """
airy angular balanced bare blended blurred bold breathy brittle bubbly buoyant buzzing chiming chunky circular clean
clear coarse coloured colourful compact complex concise contrasting cool crisp crunchy crystalline curious curved
decorative deep delicate dense detailed diffuse direct distant dry dusty dynamic earthy echoing elaborate elastic
elegant evocative evolving exotic expansive expressive familiar faint filtered fine flat fleeting flexible floating
flowing fluid focused fragile fragmented fresh full fuzzy generous glassy gleaming glistening glittering glossy
glowing graceful grainy grand granular gritty growing hollow homely honest hushed hypnotic iconic imaginative
immediate immersive inky insistent intricate intimate inventive inviting jagged kaleidoscopic layered lean light
lilting liquid loose loud low lucid lush luminous lyrical majestic measured meandering melodic memorable meticulous
microscopic milky minimal modern modest modular monochrome muffled multi-layered murmuring muted narrow natural neat
nimble noble nuanced oblique offbeat old-fashioned opaque open organic ornamental ornate overlapping painterly
panoramic papery patient patterned pearly pictorial piercing plain pleasant plush poetic pointed polished porous
powdery precise prominent pulsing punchy pure quirky radiant rattling raw recurring refined regular remote repetitive
resonant reverberant reverent rhythmic rich ringing rippling robust rolling rough round rounded rugged rustic rustling
rusty satiny scattered scenic sculpted seamless seasoned sepia serpentine shaded shadowy shapely sharp sheer shiny
shimmering silken silky silvery simple sincere sinuous skeletal sketchy sleek slender slick smoky smooth snappy solid
sonorous spacious sparkling sparse spiky spindly spiralling splashy spongy spontaneous springy square squeaky stately
static steady steep stark straightforward streamlined striking strong stylised stylish subtle sumptuous supple
sweeping swelling swirling syrupy tactile tangled tangy tapered tasteful textured theatrical thick thin tidy tight
tinny toothy trailing translucent transparent tuneful twangy twinkling twisting unadorned unassuming uncluttered
understated undulating uneven unexpected unfolding unified unusual vaporous varied vast veiled velvety versatile
vibrant vintage visual vivid warbling warm watery wavy weathered webbed weighty whimsical whirling whispery wide
widescreen winding wintry wiry wooden woolly woozy worn woven zesty zigzag abstract aerial ageless analogue aquatic
architectural aromatic artful asymmetric atmospheric autumnal avant-garde botanical boxy briny burnished buttery
candid cavernous celestial chalky chromatic cinematic clipped coastal condensed conversational cosmic cosy cottony
creamy cyclical dappled decaying digital dilated disciplined dusky economical effortless feathery fibrous flinty
floral flickering frayed frosted fruity futuristic geometric gilded glacial gliding gossamer gravelly hand-made
harmonious hazy herbal homespun iridescent kinetic knotted lacquered latticed leafy leathery looping lunar magnetic
mineral mossy nautical nocturnal oceanic oily orbital ornamented overdubbed peppery petite pliable polyphonic
polyrhythmic prismatic quilted resinous roomy sandy scented sedimentary seismic sequined slanted smudged solar
speckled stretched sunlit swooping symmetrical tidal treacly tubular ultramarine unvarnished vaulted vegetal volcanic
waxy weightless windswept
"""

#: Ways to play. No tempo and no mood.
ADVERBS = """
elegantly gracefully cleanly clearly crisply neatly tidily loosely tightly evenly unevenly steadily constantly
continuously gradually subtly discreetly delicately carefully precisely accurately faithfully freely openly boldly
confidently firmly strongly loudly prominently plainly simply modestly patiently politely curiously cleverly artfully
tastefully skilfully expertly masterfully beautifully nicely pleasantly naturally organically mechanically
rhythmically melodically harmonically chromatically percussively repeatedly insistently persistently occasionally
sporadically intermittently regularly periodically frequently rarely suddenly unexpectedly spontaneously immediately
eventually finally initially originally traditionally conventionally unusually strangely oddly quirkily remarkably
noticeably slightly partly mostly mainly largely entirely completely fully thoroughly deeply densely thickly thinly
sparsely richly warmly coolly brightly vividly colourfully smoothly roughly coarsely sharply bluntly lightly heavily
weightlessly seamlessly effortlessly fluently fluidly elastically dynamically expressively lyrically poetically
dramatically theatrically cinematically visually broadly widely narrowly closely distantly remotely faintly audibly
distinctly indistinctly vaguely abstractly literally figuratively symmetrically asymmetrically horizontally vertically
diagonally circularly endlessly infinitely briefly momentarily temporarily permanently simultaneously alternately
independently jointly collectively individually separately
"""

#: What a musical part does, as lemmas; regular in the third person and in -ing.
VERBS = """
weave drift float glide soar climb ascend descend fall drop rise swell fade bloom blossom unfold expand contract
stretch bend curl twist turn spin whirl swirl circle orbit rotate roll bounce hop jump leap skip dance step walk
stroll march wander roam meander wind zigzag hover linger stay rest pause hesitate wait listen answer reply respond
echo repeat mirror shadow accompany drag draw drive propel anchor colour draft shape build layer blend mix merge fuse
melt dissolve evaporate condense crystallise freeze thaw flow pour drip trickle splash ripple wash flood surge crest
crash break shatter scatter sprinkle dust shimmer glimmer glisten gleam glow shine sparkle twinkle flicker flash blink
pulse throb beat tick click clatter rattle jingle chime ring hum buzz whir drone murmur whisper sigh breathe speak
talk chatter converse argue comment interrupt interject intervene enter arrive appear emerge surface return leave
depart vanish disappear retreat withdraw recede reveal announce summon dominate balance level steady settle land nest
curve slope slide slip skate surf sail swim dive sink submerge tunnel burrow root grow sprout ripen mature age evolve
develop progress advance proceed continue persist endure sustain hold wrap blanket saturate soak tint shade stroke tap
pluck strum pick strike bow
"""

#: What one musical part does to another; regular.
TRANSITIVES = """
lead guide carry support follow imitate copy chase push pull command grip clasp embrace cloak cover surround enclose
introduce frame border ground lift decorate ornament outline trace mould carve sculpt stack pile gather embroider
polish brush greet question tease provoke surprise answer mirror echo shadow double balance colour soften thicken thin
sweeten season spice underline underpin reinforce reshape rework restate recall complete complement contradict
interrupt invert divide split extend enrich enliven lighten warm cool smooth roughen sharpen blur loosen tighten tie
bind stitch thread knit glue connect join separate cushion pad bracket punctuate highlight accentuate
emphasise amplify dampen filter bend stretch squeeze compress release unlock open close crown top tail steer propel
drive dress wrap envelop flank escort summon tempt coax nudge prod hug caress tickle flatter
"""

VERDICTS = """
decent catchy forgettable pleasant likeable enjoyable interesting intriguing captivating engaging compelling
convincing impressive solid competent professional amateurish homemade polished unpolished original derivative
predictable surprising clever smart witty silly goofy cheesy corny kitschy tacky tasteful classy elegant sophisticated
simple simplistic basic generic standard typical classic timeless dated retro modern contemporary fresh stale
repetitive monotonous varied eclectic eccentric quirky odd weird strange unusual unique distinctive recognisable
familiar memorable infectious addictive hummable singable danceable listenable soundtrack-like filmic commercial
radio-friendly underground obscure experimental adventurous ambitious modest humble honest sincere authentic genuine
artificial synthetic mechanical robotic human intimate personal impersonal direct accessible difficult challenging
demanding effective functional useful practical versatile suitable appropriate fitting charming adorable cute sweet
lovely beautiful gorgeous stunning magnificent marvellous fantastic terrific brilliant superb excellent great good
fine okay average mediocre unremarkable serviceable passable acceptable promising unfinished rough sketchy cluttered
busy crowded overloaded sparse thin hollow
"""

COLOURS = """
red orange yellow green turquoise teal cyan azure cobalt indigo violet purple magenta crimson scarlet maroon burgundy
pink coral peach apricot amber ochre mustard lemon lime olive emerald jade mint beige cream tan brown chestnut umber
sienna rust copper bronze silver golden grey charcoal white pearl lavender lilac mauve plum navy pastel
"""

ERAS = """
twenties thirties forties fifties sixties seventies eighties nineties noughties
"""
