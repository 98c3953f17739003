"""Open-class words for people, places, activities and times. Neutral on purpose (see `_words_nouns`)."""

from __future__ import annotations

__all__ = ["ACTIVITIES", "CITIES", "PEOPLE", "PLACES", "SEASONS", "TIMES", "WEATHERS"]

PEOPLE = """
sailor student commuter teacher nurse doctor surgeon dentist pharmacist farmer gardener florist baker butcher grocer
barista bartender waiter chef cook dishwasher host guest tourist traveller pilgrim explorer climber hiker camper
runner cyclist swimmer surfer skater skier boxer wrestler fencer archer juggler acrobat clown magician ventriloquist
actor actress director producer editor cameraman photographer painter sculptor potter weaver tailor cobbler jeweller
carpenter plumber electrician mechanic welder builder architect engineer designer programmer hacker gamer scientist
chemist physicist biologist astronomer astronaut pilot captain admiral soldier general guard knight king queen prince
princess duke emperor peasant shepherd cowherd fisherman lumberjack miner blacksmith merchant trader banker accountant
lawyer judge detective spy thief burglar smuggler pirate outlaw sheriff prisoner hermit monk nun priest bishop prophet
wizard witch giant dwarf elf fairy goblin troll ghost vampire werewolf zombie robot android alien superhero villain
child toddler baby infant kid teenager grown-up parent mother father grandmother grandfather aunt uncle cousin nephew
niece sibling twin neighbour roommate friend stranger lover bride groom bridesmaid widow bachelor couple family crowd
audience listener reader writer novelist poet playwright journalist columnist critic blogger podcaster librarian
archivist historian archaeologist geologist translator diplomat ambassador president minister senator mayor voter
activist volunteer firefighter paramedic lifeguard coach referee athlete champion rookie veteran apprentice intern
secretary manager boss entrepreneur investor salesman shopkeeper cashier customer vendor auctioneer collector curator
tour-guide porter concierge chauffeur cabbie trucker biker stationmaster signalman postman courier messenger clerk
janitor caretaker locksmith watchmaker clockmaker toymaker puppeteer storyteller thinker philosopher scholar professor
lecturer pupil classmate schoolboy schoolgirl graduate freshman vegetarian insomniac optimist pessimist nomad drifter
wanderer refugee immigrant settler pioneer islander villager townsman citizen suburbanite cosmopolitan bohemian model
stylist hairdresser barber masseur therapist psychologist midwife veterinarian zookeeper beekeeper birdwatcher ranger
hunter trapper skipper stowaway castaway diver cosmonaut cartographer surveyor inventor tinkerer gambler dealer
croupier
"""

PLACES = """
beach harbour pier dock marina lagoon island bay cove reef riverbank riverside lakeside canal bridge boardwalk
promenade terrace balcony rooftop courtyard garden greenhouse orchard vineyard meadow field pasture farm barn stable
ranch prairie desert oasis canyon valley hillside mountain summit ridge glacier tundra forest woodland jungle swamp
marsh cave quarry mine tunnel subway-station metro railway-station train-platform bus-stop airport runway spaceport
lobby hotel motel hostel inn tavern pub bar lounge cafe coffeehouse teahouse diner bistro restaurant canteen kitchen
pantry cellar attic bedroom living-room bathroom hallway corridor staircase basement garage workshop studio warehouse
factory shipyard laboratory observatory planetarium museum gallery library bookshop bakery market bazaar supermarket
mall boutique salon barbershop spa gym stadium arena racetrack ballpark playground skatepark swimming-pool ice-rink
bowling-alley arcade casino theatre cinema concert-hall ballroom nightclub dancehall discotheque festival fairground
circus zoo aquarium park plaza square avenue boulevard alley backstreet crossroads highway motorway roadside
petrol-station car-park driveway suburb village town city metropolis capital palace castle fortress tower lighthouse
windmill cottage cabin chalet hut tent campsite lodge manor villa mansion penthouse apartment dormitory classroom
schoolyard campus lecture-hall office boardroom cubicle courtroom embassy parliament town-hall church chapel cathedral
monastery temple shrine mosque pagoda graveyard crypt ruin labyrinth maze dungeon throne-room battlefield camp
frontier border outpost embankment waterfront wharf houseboat yacht cruise-ship spaceship submarine treehouse
rainforest savannah volcano waterfall hot-spring geyser fjord archipelago peninsula coastline clifftop dune delta
estuary floodplain reservoir dam power-plant wind-farm greenbelt allotment nursery kindergarten hospital clinic
waiting-room ward pharmacy elevator escalator revolving-door reception foyer cloakroom dressing-room backstage
green-room control-room newsroom post-office bank vault pawnshop laundromat launderette toyshop sweetshop
ice-cream-parlour food-truck street-market junkyard scrapyard landfill dojo yoga-studio sauna bathhouse speakeasy
saloon
"""

ACTIVITIES = """
ironing baking sketching painting knitting sewing weaving embroidering gardening weeding mowing raking pruning
planting harvesting cooking frying grilling roasting chopping peeling whisking kneading tasting eating dining snacking
drinking sipping brewing washing scrubbing mopping sweeping dusting vacuuming tidying folding packing unpacking moving
decorating wallpapering repairing tinkering welding hammering sanding carving whittling building gaming coding
programming typing writing journaling drafting editing proofreading translating studying revising reading browsing
scrolling shopping queueing commuting driving parking cycling walking strolling hiking trekking climbing abseiling
camping fishing hunting birdwatching stargazing sunbathing swimming diving snorkelling surfing windsurfing sailing
rowing paddling kayaking rafting skating skateboarding rollerblading skiing snowboarding sledding jogging running
sprinting stretching training lifting boxing wrestling fencing dancing waltzing clubbing partying toasting celebrating
dating flirting kissing hugging cuddling chatting gossiping debating negotiating arguing reconciling apologising
napping sleeping snoozing waking dozing meditating praying breathing bathing showering shaving grooming dressing
undressing waiting loitering people-watching sightseeing travelling backpacking hitchhiking flying landing boarding
departing arriving unwinding concentrating brainstorming planning budgeting filing sorting cataloguing collecting
trading bargaining bidding gambling bluffing juggling conjuring performing rehearsing auditioning acting filming
photographing directing animating storyboarding sculpting moulding glazing printing binding  doodling
colouring crafting  beekeeping horse-riding grazing milking shearing foraging mushroom-picking berry-picking
wine-tasting star-watching kite-flying sandcastle-building puzzle-solving chess-playing card-playing window-shopping
babysitting parenting teaching lecturing learning memorising experimenting exploring investigating spying sneaking
chasing fleeing hiding seeking racing drifting cruising wandering roaming rambling paragliding skydiving
bungee-jumping ballooning volunteering recycling composting fundraising campaigning voting marching parading
protesting remembering reminiscing forgetting graduating retiring relaxing
"""

CITIES = """
Lisbon Porto Madrid Seville Granada Barcelona Valencia Paris Lyon Marseille Nice Bordeaux Brussels Antwerp Ghent
Amsterdam Rotterdam Utrecht Berlin Hamburg Munich Cologne Leipzig Dresden Vienna Salzburg Zurich Geneva Basel Milan
Turin Venice Florence Rome Naples Palermo Athens Thessaloniki Istanbul Ankara Izmir Sofia Bucharest Belgrade Zagreb
Split Ljubljana Budapest Prague Brno Bratislava Warsaw Krakow Gdansk Vilnius Riga Tallinn Helsinki Tampere Turku
Stockholm Gothenburg Malmo Oslo Bergen Trondheim Copenhagen Aarhus Reykjavik Dublin Cork Galway Belfast Edinburgh
Glasgow Aberdeen Newcastle Leeds York Manchester Liverpool Sheffield Birmingham Oxford Cambridge Bristol Bath Cardiff
London Brighton Dover Moscow Kyiv Odesa Tbilisi Yerevan Baku Tehran Baghdad Beirut Damascus Jerusalem Cairo Alexandria
Tunis Algiers Casablanca Marrakesh Dakar Accra Lagos Nairobi Kampala Lusaka Harare Johannesburg Durban Dubai Doha
Muscat Karachi Lahore Delhi Jaipur Mumbai Kolkata Chennai Colombo Kathmandu Dhaka Yangon Bangkok Hanoi Saigon Jakarta
Manila Singapore Taipei Shanghai Beijing Chengdu Seoul Busan Tokyo Kyoto Osaka Sapporo Sydney Melbourne Perth Brisbane
Auckland Wellington Honolulu Anchorage Vancouver Calgary Toronto Montreal Halifax Boston Philadelphia Baltimore
Chicago Detroit Cleveland Milwaukee Minneapolis Denver Seattle Portland Oakland Phoenix Tucson Houston Dallas Memphis
Nashville Atlanta Savannah Miami Tampa Havana Kingston Caracas Bogota Quito Lima Cusco Santiago Montevideo Recife
Salvador
"""

TIMES = """
morning evening night afternoon dawn dusk sunrise sunset midnight noon twilight daybreak nightfall weekend Monday
Tuesday Wednesday Thursday Friday Saturday Sunday lunchtime teatime bedtime breakfast dinnertime
"""

SEASONS = """
spring summer autumn winter January February March April May June July August September October November December
Easter midsummer
"""

WEATHERS = """
rainy sunny foggy misty snowy windy stormy cloudy humid frosty hazy drizzly breezy sweltering icy overcast starlit
moonlit sunlit thundery muggy balmy chilly blustery
"""
