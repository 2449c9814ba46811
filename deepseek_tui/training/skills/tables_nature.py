"""Nature and everyday things: animals, body, space, substances, jobs, tools."""

# Questions and answers are read one a line.
# ruff: noqa: E501

from __future__ import annotations

from deepseek_tui.training.skills.tables_words import pairs
from deepseek_tui.training.skills.tables_world import rows

ANIMALS = rows("""
dog | puppy | barks | mammal | 4
cat | kitten | meows | mammal | 4
cow | calf | moos | mammal | 4
horse | foal | neighs | mammal | 4
sheep | lamb | bleats | mammal | 4
goat | kid | bleats | mammal | 4
pig | piglet | oinks | mammal | 4
lion | cub | roars | mammal | 4
tiger | cub | roars | mammal | 4
bear | cub | growls | mammal | 4
wolf | pup | howls | mammal | 4
fox | cub | barks | mammal | 4
elephant | calf | trumpets | mammal | 4
rabbit | kit | squeaks | mammal | 4
mouse | pup | squeaks | mammal | 4
donkey | foal | brays | mammal | 4
seal | pup | barks | mammal | 0
whale | calf | sings | mammal | 0
dolphin | calf | whistles | mammal | 0
hen | chick | clucks | bird | 2
duck | duckling | quacks | bird | 2
goose | gosling | honks | bird | 2
swan | cygnet | hisses | bird | 2
owl | owlet | hoots | bird | 2
eagle | eaglet | screeches | bird | 2
pigeon | squab | coos | bird | 2
crow | chick | caws | bird | 2
turkey | poult | gobbles | bird | 2
frog | tadpole | croaks | amphibian | 4
bee | larva | buzzes | insect | 6
""")
"""Animal, its young, what it does as a sound, class, legs."""

CLASSES = rows("""
bat | mammal
otter | mammal
hedgehog | mammal
camel | mammal
zebra | mammal
monkey | mammal
squirrel | mammal
beaver | mammal
polar bear | mammal
penguin | bird
parrot | bird
ostrich | bird
sparrow | bird
flamingo | bird
robin | bird
peacock | bird
lizard | reptile
turtle | reptile
tortoise | reptile
chameleon | reptile
toad | amphibian
newt | amphibian
salamander | amphibian
shark | fish
salmon | fish
trout | fish
tuna | fish
goldfish | fish
ant | insect
butterfly | insect
beetle | insect
ladybird | insect
grasshopper | insect
mosquito | insect
dragonfly | insect
spider | arachnid
scorpion | arachnid
""")
"""Animal, class."""

HOMES = rows("""
a bird | a nest
a bee | a hive
a dog | a kennel
a horse | a stable
a spider | a web
a rabbit | a burrow
a lion | a den
a bear | a den
a beaver | a lodge
an ant | an anthill
a cow | a barn
a pig | a sty
a fish in a house | an aquarium
a hen | a coop
a fox | a den
a badger | a sett
""")

FOODS = rows("""
a panda | bamboo
a koala | eucalyptus leaves
a cow | grass
a lion | meat
a squirrel | nuts and seeds
a rabbit | grass and other plants
an anteater | ants and termites
a giraffe | leaves
a shark | fish and other sea animals
a polar bear | mostly seals
a penguin | fish
a bee | nectar and pollen
a caterpillar | leaves
an owl | mice and other small animals
a horse | grass and hay
a hedgehog | insects, worms and snails
""")

GROUPS = rows("""
lions | a pride
wolves | a pack
sheep | a flock
cows | a herd
fish | a school
bees | a swarm
birds | a flock
elephants | a herd
whales | a pod
geese on the ground | a gaggle
crows | a murder
ants | a colony
kittens | a litter
""")

BODY = rows("""
the heart | pumps blood through the body
the lungs | take in oxygen and give off carbon dioxide
the brain | controls the body and lets us think
the stomach | digests food
the kidneys | clean the blood and make urine
the liver | cleans the blood and helps with digestion
the skin | protects the body and feels touch
the eyes | let us see
the ears | let us hear and keep our balance
the nose | lets us smell and breathe
the tongue | lets us taste and speak
the bones | hold the body up and protect its organs
the muscles | move the body
the teeth | bite and chew food
the nerves | carry messages between the brain and the body
""")
"""Part, what it does (verb agrees)."""

PLANETS = ["Mercury", "Venus", "Earth", "Mars", "Jupiter", "Saturn", "Uranus", "Neptune"]

ELEMENTS = pairs("""
hydrogen:H, helium:He, lithium:Li, carbon:C, nitrogen:N, oxygen:O, fluorine:F, neon:Ne, sodium:Na, magnesium:Mg,
aluminium:Al, silicon:Si, phosphorus:P, sulfur:S, chlorine:Cl, potassium:K, calcium:Ca, iron:Fe, nickel:Ni, copper:Cu,
zinc:Zn, silver:Ag, tin:Sn, iodine:I, platinum:Pt, gold:Au, mercury:Hg, lead:Pb, uranium:U, titanium:Ti
""")

FORMULAS = pairs(
    "water:H2O, carbon dioxide:CO2, table salt:NaCl, oxygen gas:O2, methane:CH4, ammonia:NH3, ozone:O3"
)

COLOURS = rows("""
the sky on a clear day | blue
grass | green
snow | white
a ripe banana | yellow
a ripe lemon | yellow
a ripe strawberry | red
a fire engine in many countries | red
coal | black
a carrot | orange
milk | white
an emerald | green
a ruby | red
a sapphire | blue
chocolate | brown
a polar bear | white
a flamingo | pink
blood | red
the Sun in most children's drawings | yellow
a tomato when it is ripe | red
spinach | green
an aubergine | purple
an elephant | grey
a crow | black
salt | white
a sunflower | yellow
a pumpkin | orange
""")

MIXES = rows("""
blue and yellow | green
red and yellow | orange
red and blue | purple
red and white | pink
black and white | grey
""")

JOBS = rows("""
a teacher | teaches students
a doctor | treats ill people
a nurse | cares for ill people
a dentist | looks after teeth
a baker | makes bread and cakes
a butcher | cuts and sells meat
a farmer | grows crops and keeps animals
a pilot | flies aeroplanes
a firefighter | puts out fires and rescues people
a police officer | keeps people safe and enforces the law
a carpenter | makes and repairs things of wood
a plumber | fits and repairs water pipes
an electrician | installs and repairs electrical wiring
a mechanic | repairs cars and machines
an architect | designs buildings
a chef | cooks in a restaurant
a waiter | serves food and drinks
a tailor | makes and alters clothes
a hairdresser | cuts and styles hair
a librarian | looks after books and helps readers
a vet | treats animals
a journalist | reports the news
a judge | decides cases in court
a lawyer | advises people about the law
a postman | delivers letters and parcels
a gardener | looks after plants and gardens
a photographer | takes pictures
a programmer | writes computer programs
a translator | puts texts into another language
an astronaut | travels into space
an astronomer | studies the stars and planets
a geologist | studies rocks and the Earth
a biologist | studies living things
a pharmacist | prepares and sells medicines
an optician | tests eyes and sells glasses
a florist | sells flowers
a beekeeper | keeps bees and collects honey
a fisherman | catches fish
a miner | digs coal or metals out of the ground
a referee | makes sure that players follow the rules
""")
"""Job, what someone in it does."""

TOOLS = rows("""
a hammer | drive nails
a saw | cut wood
a screwdriver | turn screws
a needle | sew
a kettle | boil water
a fridge | keep food cold
an oven | bake and roast food
a broom | sweep the floor
a ladder | reach high places
an umbrella | stay dry in the rain
a pair of scissors | cut paper or cloth
a ruler | measure and draw straight lines
a clock | tell the time
a key | open a lock
a torch | see in the dark
a corkscrew | pull corks out of bottles
a rake | gather leaves
a spade | dig
a thermometer | measure temperature
a scale | weigh things
a towel | dry yourself
a toothbrush | clean your teeth
a comb | tidy your hair
a calculator | do sums
a map | find the way
a camera | take pictures
a microwave | heat food quickly
a vacuum cleaner | clean carpets and floors
a bucket | carry water
a sponge | wash dishes
a lawn mower | cut grass
a paintbrush | paint
a stapler | hold sheets of paper together
a sieve | separate lumps from flour
a whistle | make a loud sound
""")
"""Tool, what it is used for ("to ...")."""

MATERIALS = rows("""
bread | flour, water, yeast and salt
glass | sand, soda and lime, melted together
paper | wood
cheese | milk
butter | cream
wine | grapes
chocolate | cocoa beans and sugar
an omelette | eggs
chips | potatoes
raisins | dried grapes
wool | the hair of sheep
silk | the threads of silkworms
leather | animal skin
honey | nectar, by bees
popcorn | maize
tofu | soya beans
hummus | chickpeas and sesame paste
ketchup | tomatoes, vinegar and sugar
mayonnaise | egg yolks, oil and vinegar or lemon juice
guacamole | avocados
porridge | oats and water or milk
sushi | rice with vinegar, often with fish
""")

TRUTHS = rows("""
a whale is a fish | no | A whale is a mammal.
a bat is a bird | no | A bat is a mammal.
a spider is an insect | no | A spider has eight legs and is an arachnid.
a tomato is a fruit | yes | In botany a tomato is a fruit, although we cook with it like a vegetable.
the Sun is a star | yes | The Sun is the star at the centre of our solar system.
the Moon is a planet | no | The Moon is the natural satellite of the Earth.
the Earth is flat | no | The Earth is almost a ball.
the Earth goes around the Sun | yes | It takes about a year.
the Sun goes around the Earth | no | The Earth goes around the Sun.
penguins can fly | no | Penguins are birds that swim very well, but they cannot fly.
ostriches can fly | no | Ostriches are too heavy to fly, but they run fast.
fish breathe with gills | yes | Gills take oxygen from the water.
ice floats on water | yes | Ice is less dense than liquid water.
oil floats on water | yes | Oil is less dense than water.
iron floats on water | no | A solid piece of iron sinks, because it is denser than water.
water boils at 100 degrees Celsius at sea level | yes | Higher up it boils at a lower temperature.
water freezes at 0 degrees Celsius | yes | That is 32 degrees Fahrenheit.
light is faster than sound | yes | That is why we see lightning before we hear thunder.
sound is faster than light | no | Light is far faster than sound.
plants need light | yes | They use it to make their food.
all birds can fly | no | Penguins and ostriches cannot.
snakes have legs | no | Snakes have no legs.
sharks are fish | yes | Their skeleton is made of cartilage.
dolphins are mammals | yes | They breathe air and feed their young with milk.
Australia is a continent | yes | It is the smallest one.
Africa is a country | no | Africa is a continent with more than fifty countries.
Europe is a country | no | Europe is a continent with many countries.
London is in England | yes | It is the capital of England and of the United Kingdom.
Sydney is the capital of Australia | no | The capital is Canberra.
Rio de Janeiro is the capital of Brazil | no | The capital is Brasília.
Toronto is the capital of Canada | no | The capital is Ottawa.
Istanbul is the capital of Turkey | no | The capital is Ankara.
New York is the capital of the United States | no | The capital is Washington, D.C.
Geneva is the capital of Switzerland | no | Bern is the seat of the government.
Spanish is spoken in Mexico | yes | It is the main language there.
Portuguese is spoken in Brazil | yes | It is the official language.
a triangle has four sides | no | A triangle has three sides.
a square has four equal sides | yes | It also has four right angles.
a minute has 60 seconds | yes | And an hour has 60 minutes.
a year has 12 months | yes | The first is January and the last is December.
February has 30 days | no | It has 28 days, and 29 in a leap year.
gold is a metal | yes | It is soft, heavy and does not rust.
diamonds are made of carbon | yes | So is graphite.
milk comes from plants | no | The milk we usually drink comes from cows.
bread is made from flour | yes | Water and usually yeast go in as well.
humans have two lungs | yes | The left one is a little smaller.
the heart pumps blood | yes | It does so all our life.
bees make honey | yes | They make it from nectar.
cats are mammals | yes | They feed their young with milk.
frogs lay eggs | yes | Tadpoles come out of them.
camels live in deserts | yes | They can go without water for many days.
polar bears live at the South Pole | no | They live in the Arctic, in the north.
penguins live at the North Pole | no | Wild penguins live in the southern half of the world.
lightning is electricity | yes | It is a huge spark between clouds or to the ground.
the Amazon is a river | yes | It flows through South America.
Mount Everest is in Africa | no | It is in Asia, between Nepal and China.
Shakespeare wrote Hamlet | yes | He wrote it around 1600.
Leonardo da Vinci painted the Mona Lisa | yes | It hangs in the Louvre in Paris.
the Great Wall is in China | yes | Most of what is left was built in the Ming dynasty.
the pyramids of Giza are in Egypt | yes | They stand near Cairo.
""")
"""Statement, yes or no, one sentence more."""
