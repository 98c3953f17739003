"""Open-class nouns of the captions, as whitespace-separated lists in the singular (a hyphen may stand for a space).

They are neutral on purpose: no genre, mood, instrument, tempo or key, since an open-class word is drawn
without looking at the track. Written for this project.
"""

from __future__ import annotations

__all__ = ["ABSTRACTS", "ANIMALS", "FOODS", "FORMATS", "MATERIALS", "PARTS", "THINGS", "TOPICS"]

#: Things that a sound may be compared with.
THINGS = """
lantern kettle compass kite feather ribbon mirror candle marble pebble anchor ladder needle thimble button blanket
curtain carousel postcard envelope telegram typewriter telescope microscope camera projector radio jukebox cassette
gramophone clock pendulum hourglass sundial calendar diary notebook novel atlas map globe suitcase backpack umbrella
raincoat scarf mitten sweater jacket boot slipper sandal shoelace hat crown necklace bracelet locket pearl diamond
emerald ruby sapphire crystal prism lens lamp bulb chandelier torch bonfire campfire fireplace chimney ember spark
firework rocket satellite comet meteor planet moon star sunbeam shadow silhouette rainbow cloud raindrop snowflake
icicle puddle ripple wave tide whirlpool waterfall fountain stream brook pond raft canoe kayak sailboat ferry steamer
submarine lighthouse buoy net hook bucket spade sandcastle seashell starfish driftwood cliff boulder stalactite
glacier iceberg volcano geyser dune cactus tumbleweed palm oak willow birch pine maple sapling branch twig leaf acorn
chestnut thorn petal blossom rose tulip lily daisy orchid sunflower dandelion clover fern vine mushroom seed root
fence hedge scarecrow windmill tractor plough barrel wagon carriage saddle bicycle tricycle scooter skateboard
motorbike tram locomotive train caravan truck bulldozer crane escalator elevator conveyor engine piston gear spring
lever pulley hinge lock padlock doorbell doorknob window shutter balcony staircase trapdoor bookshelf armchair sofa
hammock pillow mattress quilt rug tapestry painting sketch fresco mosaic sculpture statue monument fossil skeleton
mask puppet doll marionette robot toy top yo-yo balloon bubble puzzle domino die dartboard trophy medal whistle teapot
teacup saucer spoon fork ladle saucepan skillet oven toaster blender fridge bottle cork jar crate basket parcel
package ticket passport coin banknote wallet purse receipt ledger stamp letter inkwell quill pencil crayon paintbrush
easel palette canvas chisel hammer nail screwdriver wrench saw drill toolbox sewing-box spool loom spindle thread rope
knot chain zipper tent sleeping-bag lasso slingshot arrow shield sword helmet cape banner flag pennant billboard
neon-sign hologram pixel joystick console arcade-machine laptop antenna transistor circuit battery magnet turbine
generator reactor thermometer barometer beaker pipette stethoscope bandage splinter mosquito-net parachute glider
helicopter zeppelin airship biplane propeller cannonball boomerang frisbee trampoline swing seesaw slide treadmill
barbell hurdle racket paddle surfboard snowboard sled ski toboggan snowball snowman igloo scaffold brick tile pillar
arch dome spire gargoyle turret drawbridge moat catapult throne sceptre scroll manuscript riddle footnote headline
crossword recipe cookbook blueprint sketchbook photograph polaroid slideshow screenplay trailer curtain-call spotlight
footlight stage-door tightrope trapeze somersault cartwheel handshake footprint fingerprint heartbeat eyelash freckle
dimple whisper yawn hiccup sneeze shrug wink nod nap daydream memory souvenir heirloom keepsake trinket music-stand
metronome tuning-fork honeycomb beehive anthill cobweb nest burrow cocoon eggshell paw hoof antler tusk whisker fin
gill wing beak claw abacus album almanac amulet anvil apron aquarelle armour awning axe badge bagel baton bead beacon
bench binder birdcage blade bolt bonnet bookmark bracket brooch broom brush bust cabinet cable calculator candelabra
candlestick cardigan cartridge castor catalogue charm chessboard chest cloak clothesline clasp coaster coat-hanger
coil collar comb confetti-cannon corset counterweight cradle crank crescent crutch cuff cufflink cushion dagger
dashboard decanter desk dinghy diorama dolls-house doormat doorstep dossier drawer dumbbell duvet earring eggcup
emblem envelope-opener eraser etching fan faucet filament flask flare flagpole flint flowerpot flywheel foghorn folder
footstool fringe funnel fuse galleon garland gazebo gemstone goblet gondola gown grate grid grille gutter gyroscope
hairpin hamper handkerchief handle hatchet haystack headlamp hearth helm hoop horseshoe hose inkblot jigsaw jug
juggling-ball kaleidoscope kerchief kiln knob lamppost lampshade latch lawnmower leaflet lightbulb limousine lintel
lollipop loupe lozenge magnifier mailbox manhole map-case mast matchbox matchstick medallion menu mill millstone
minaret mitre mobile monocle moped mortar mousetrap muffler mug mural nameplate napkin newspaper notepad nugget
nutcracker oar obelisk opal ottoman pail paintbox pamphlet panel paperclip parasol patchwork pavilion peg pen penknife
pestle pew phone photo-album picnic-hamper piggy-bank pinball pincushion pinwheel pipe pitcher placard plank plate
plaque plug plume pocketwatch podium poncho porthole poster pot pram pulpit quiver rafter raincloud rake rattle razor
reel rein relic ring robe rocking-horse rosary rosette rudder ruler rucksack sash satchel scalpel scrapbook screen
scroll-case shawl shelf shovel sieve signpost skewer skylight sleigh snorkel sock spatula spectacle spinning-top
spinning-wheel sponge spyglass stamp-album staple stencil stirrup stool stopwatch stove straw suit sunhat sundress
swan-boat syringe tablecloth tankard tarp tassel taxi teaspoon thermos tiara ticket-stub tiller timer toothbrush
toothpick totem towel tray treasure-chest tripod trolley trough trowel tunic tureen turnstile typeface urn valve van
vase veil vest vial videotape visor waffle-iron walking-stick wardrobe washboard watch watering-can weathervane
wheelbarrow wheelchair wick wicker-chair windsock wreath wristwatch yardstick zoetrope
"""

ANIMALS = """
fox wolf bear deer moose hare rabbit squirrel badger otter beaver hedgehog mole mouse rat bat owl hawk falcon eagle
heron swan goose duck pelican seagull sparrow robin finch raven crow magpie swallow lark nightingale peacock pheasant
rooster hen turkey ostrich penguin puffin parrot toucan flamingo hummingbird cat kitten dog puppy greyhound terrier
horse pony foal donkey mule goat lamb ram cow bull calf pig camel llama alpaca giraffe zebra elephant rhino hippo lion
tiger leopard panther cheetah lynx cougar jaguar monkey gorilla chimp lemur sloth koala kangaroo wallaby platypus
panda raccoon skunk opossum armadillo anteater meerkat mongoose weasel ferret gecko lizard iguana chameleon crocodile
turtle tortoise snake cobra frog toad newt salamander shark whale dolphin seal walrus octopus squid jellyfish lobster
crab shrimp snail slug worm spider scorpion beetle ladybird cricket grasshopper butterfly moth caterpillar dragonfly
firefly bee wasp ant termite
"""

FOODS = """
bread toast porridge pancakes waffles omelettes muffins scones biscuits cookies brownies cake cheesecake trifle
custard pudding jelly sorbet chocolate caramel toffee fudge marzipan nougat popcorn pretzels crisps peanuts almonds
pistachios cashews raisins dates figs plums cherries peaches apricots pears apples oranges lemons limes grapefruit
mangoes papaya pineapple coconut bananas strawberries raspberries blueberries blackberries gooseberries rhubarb
pumpkin squash courgettes aubergines tomatoes peppers onions garlic leeks shallots carrots parsnips beetroot radishes
turnips potatoes dumplings noodles ramen ravioli gnocchi lasagne spaghetti risotto paella pilau couscous lentils
chickpeas falafel hummus tofu curry chilli stew goulash broth gumbo chowder soup salad coleslaw sandwiches burgers
hotdogs pizza tacos burritos nachos quesadillas empanadas sushi tempura kebabs sausages bacon meatballs steak brisket
chicken mackerel salmon trout sardines mussels oysters prawns cheddar brie feta halloumi yoghurt butter honey
marmalade jam ketchup mustard pesto mayonnaise vinegar cinnamon ginger saffron paprika turmeric basil oregano rosemary
thyme coriander tea coffee espresso cappuccino cocoa lemonade cider wine champagne whisky rum cocktails milkshakes
smoothies
"""

#: Subjects of a film, an advert or a game, used before a noun of FORMATS.
TOPICS = """
cooking travel wildlife history science nature technology fashion beauty skincare fitness sports football basketball
tennis golf cycling running swimming sailing surfing skiing climbing hiking camping fishing gardening farming food
wine coffee tea chocolate bakery restaurant hotel airline cruise railway car motorcycle insurance banking finance
startup business corporate office retail supermarket furniture interior architecture property construction engineering
manufacturing logistics shipping mining energy solar wind-power climate ocean underwater space astronomy aviation
drone robotics software cybersecurity gaming arcade puzzle adventure fantasy superhero pirate spy detective heist
crime courtroom hospital medical pharmacy dental veterinary charity education school university kindergarten
children's family wedding birthday anniversary graduation christmas halloween easter holiday festival parade carnival
circus magic theatre museum gallery art photography poetry book publishing news weather politics election documentary
military police rescue fire-brigade survival desert jungle arctic mountain island seaside river city suburban village
heritage archaeology dinosaur mythology fairytale cartoon anime puppet stop-motion silent indie student biopic period
western samurai ninja gangster prison zombie vampire ghost alien monster time-travel cyberpunk steampunk dystopian
courtship friendship teenage college roommate sitcom quiz dating makeover renovation auction antiques craft knitting
pottery woodworking yoga meditation wellness mindfulness spa parenting pregnancy baby toy pet cat dog horse bird
insect marine aquarium zoo safari conservation recycling vegan barbecue cocktail brewery distillery perfume jewellery
watch eyewear sneaker sportswear denim luxury vintage thrift smartphone laptop gadget app podcast radio livestream
tutorial unboxing vlog influencer marketing recruitment training safety conference planetarium laboratory genetics
chemistry physics mathematics geography language philosophy economics psychology nutrition
"""

FORMATS = """
video film advert commercial documentary trailer game series show podcast vlog reel montage slideshow presentation
tutorial campaign promo teaser clip scene drama comedy thriller intro outro cutscene interview broadcast programme
report cartoon animation feature short channel app exhibition installation event launch segment sketch special episode
bumper ident spot
"""

ABSTRACTS = """
curiosity distance motion space depth balance patience wonder memory discovery movement direction purpose intention
gravity lightness openness closeness intimacy simplicity complexity clarity ambiguity mystery familiarity novelty
tradition modernity craft precision discipline freedom restraint ambition confidence modesty dignity elegance grace
poise charm wit irony humour mischief sincerity honesty candour innocence wisdom maturity youth age history heritage
belonging community friendship loyalty trust courage determination persistence resolve progress ascent arrival
departure return farewell homecoming journey exploration escape adventure wandering travel migration expectation
reflection contemplation introspection concentration focus attention awareness presence continuity change
transformation evolution growth renewal repetition symmetry contrast proportion order structure logic geometry chaos
spontaneity improvisation invention imagination fantasy fiction storytelling theatre ceremony ritual celebration
solidarity unity conversation dialogue debate question answer suggestion hint secrecy revelation surprise anticipation
momentum propulsion drive pulse swing flow drift suspension weightlessness buoyancy elasticity texture colour light
shade brightness warmth coolness freshness crispness smoothness roughness density transparency opacity sparkle shimmer
glow haze blur scale grandeur spectacle majesty vastness emptiness solitude privacy domesticity routine leisure luxury
comfort shelter hospitality generosity abundance scarcity thrift industry labour machinery automation electricity
magnetism chemistry biology nature wilderness landscape geography weather climate season childhood adolescence
adulthood parenthood ancestry mythology legend religion spirituality transcendence eternity infinity time
"""

MATERIALS = """
velvet silk satin linen cotton denim wool felt leather suede canvas paper cardboard parchment glass crystal porcelain
ceramic clay terracotta marble granite slate limestone sandstone concrete plaster timber bamboo cedar mahogany walnut
oak pine cork rubber plastic vinyl nylon polyester wax amber ivory pearl copper bronze iron chrome tin aluminium
titanium platinum silver gold mercury tar charcoal ash dust sand gravel mud snow ice
"""

#: Neutral names for parts of a composition.
PARTS = """
motif phrase theme figure refrain passage pattern sequence statement idea line contour interval cadence progression
turnaround interlude introduction coda bridge chorus verse section episode development variation reprise crescendo
build-up breakdown climax resolution response counterpoint countermelody harmony voicing chord arpeggio ostinato loop
hook fill flourish ornament trill glissando run scale sustain accent syncopation texture layer backdrop arrangement
melody tune subject fragment gesture vamp tag pickup downbeat tremolo vibrato
"""
