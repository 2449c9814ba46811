"""Words: opposites, synonyms, forms, spellings, rhymes, meanings."""

# Questions and answers are read one a line.
# ruff: noqa: E501

from __future__ import annotations

from deepseek_tui.training.skills.tables_world import rows


def words(text: str) -> list[str]:
    """The comma-separated words of `text`."""
    return [word.strip() for word in text.replace("\n", " ").split(",") if word.strip()]


def pairs(text: str) -> list[tuple[str, str]]:
    """Comma-separated "a:b"."""
    return [(a.strip(), b.strip()) for a, b in (entry.split(":") for entry in words(text))]


OPPOSITES = pairs("""
hot:cold, big:small, tall:short, long:short, fast:slow, high:low, old:new, rich:poor, happy:sad, light:dark,
heavy:light, hard:soft, easy:difficult, early:late, full:empty, open:closed, wet:dry, clean:dirty, loud:quiet,
strong:weak, thick:thin, wide:narrow, deep:shallow, near:far, cheap:expensive, safe:dangerous, rough:smooth,
true:false, right:wrong, up:down, in:out, over:under, inside:outside, before:after, above:below, day:night,
begin:end, start:finish, win:lose, buy:sell, give:take, push:pull, come:go, love:hate, laugh:cry, remember:forget,
find:lose, ask:answer, arrive:leave, build:destroy, accept:refuse, always:never, everything:nothing, friend:enemy,
beautiful:ugly, brave:cowardly, polite:rude, kind:cruel, lazy:hard-working, young:old, alive:dead, awake:asleep,
sharp:blunt, sweet:bitter, tight:loose, visible:invisible, possible:impossible, honest:dishonest, patient:impatient,
lucky:unlucky, known:unknown, healthy:ill, modern:ancient, simple:complicated, bright:dim, calm:nervous, success:failure,
war:peace, question:answer, summer:winter, north:south, east:west, left:right, first:last, more:less, many:few,
maximum:minimum, increase:decrease, import:export, arrival:departure, entrance:exit, victory:defeat, hope:despair,
generous:mean, guilty:innocent, temporary:permanent, public:private, raw:cooked, fresh:stale, rare:common, odd:even,
float:sink, lend:borrow, teach:learn, whisper:shout, attack:defend, appear:disappear, agree:disagree, lock:unlock
""")

SYNONYMS = pairs("""
happy:glad, sad:unhappy, big:large, small:little, fast:quick, smart:clever, start:begin, end:finish, angry:furious,
beautiful:pretty, scared:afraid, tired:exhausted, hungry:starving, funny:amusing, strange:odd, difficult:hard,
easy:simple, rich:wealthy, brave:courageous, kind:gentle, quiet:silent, loud:noisy, huge:enormous, tiny:minute,
wet:damp, cold:chilly, hot:boiling, nice:pleasant, bad:awful, good:fine, correct:right, wrong:incorrect, ill:sick,
polite:courteous, rude:impolite, lazy:idle, calm:peaceful, famous:well-known, important:essential, dangerous:risky,
help:assist, buy:purchase, speak:talk, shout:yell, look:watch, choose:select, build:construct, repair:mend,
answer:reply, ask:inquire, jump:leap, run:sprint, cry:weep, throw:toss, hide:conceal, show:display, get:obtain,
try:attempt, need:require, stop:halt, shut:close, allow:permit, gather:collect, home:house, child:kid, gift:present,
job:occupation, street:road, story:tale, boat:ship, stone:rock, trip:journey, error:mistake, idea:thought, pal:friend
""")

PLURALS = pairs("""
child:children, mouse:mice, foot:feet, tooth:teeth, goose:geese, man:men, woman:women, person:people, ox:oxen,
leaf:leaves, knife:knives, wife:wives, wolf:wolves, shelf:shelves, loaf:loaves, half:halves, calf:calves, thief:thieves,
city:cities, baby:babies, story:stories, berry:berries, lady:ladies, country:countries, family:families, puppy:puppies,
box:boxes, fox:foxes, bus:buses, glass:glasses, dress:dresses, church:churches, watch:watches, dish:dishes, brush:brushes,
potato:potatoes, tomato:tomatoes, hero:heroes, echo:echoes, piano:pianos, photo:photos, sheep:sheep, fish:fish, deer:deer,
toy:toys, boy:boys, key:keys, day:days, monkey:monkeys, book:books, chair:chairs, dog:dogs, apple:apples, house:houses,
crisis:crises, cactus:cacti, analysis:analyses, louse:lice, roof:roofs, chef:chefs, scarf:scarves, life:lives
""")

PAST = pairs("""
go:went, eat:ate, drink:drank, see:saw, come:came, take:took, give:gave, make:made, do:did, have:had, say:said, tell:told,
think:thought, bring:brought, buy:bought, catch:caught, teach:taught, fight:fought, find:found, begin:began, run:ran,
swim:swam, sing:sang, ring:rang, write:wrote, ride:rode, drive:drove, speak:spoke, break:broke, choose:chose, steal:stole,
fly:flew, know:knew, grow:grew, throw:threw, draw:drew, fall:fell, feel:felt, keep:kept, sleep:slept, leave:left,
meet:met, send:sent, spend:spent, build:built, lose:lost, sit:sat, stand:stood, win:won, hold:held, hear:heard, sell:sold,
cut:cut, put:put, hit:hit, let:let, read:read, forget:forgot, get:got, wear:wore, wake:woke, hide:hid, bite:bit,
shine:shone, dig:dug, hang:hung, lend:lent, pay:paid, lay:laid, lie:lay, rise:rose, shake:shook, blow:blew, freeze:froze,
walk:walked, play:played, look:looked, call:called, ask:asked, open:opened, stop:stopped, try:tried, carry:carried, dance:danced
""")

COMPARATIVES = rows("""
big | bigger | biggest
small | smaller | smallest
good | better | best
bad | worse | worst
happy | happier | happiest
easy | easier | easiest
far | farther | farthest
hot | hotter | hottest
thin | thinner | thinnest
nice | nicer | nicest
large | larger | largest
early | earlier | earliest
busy | busier | busiest
tall | taller | tallest
old | older | oldest
young | younger | youngest
beautiful | more beautiful | most beautiful
expensive | more expensive | most expensive
interesting | more interesting | most interesting
little | less | least
many | more | most
""")
"""Adjective, comparative, superlative."""

SPELLED = words("""
apple, banana, orange, lemon, cherry, garden, window, kitchen, bridge, castle, doctor, teacher, farmer, pencil, paper, winter,
summer, spring, autumn, monkey, tiger, rabbit, elephant, giraffe, butterfly, mountain, river, island, ocean, desert, planet,
rocket, computer, keyboard, bicycle, umbrella, blanket, pillow, candle, mirror, bottle, basket, button, ladder, hammer, needle,
yellow, purple, orange, silver, golden, friend, family, sister, brother, cousin, neighbour, beautiful, necessary, separate,
definitely, tomorrow, February, Wednesday, knowledge, rhythm, calendar, restaurant, library, different, chocolate, vegetable,
breakfast, sandwich, potato, tomato, cucumber, pumpkin, mushroom, school, station, hospital, museum, theatre, airport, market,
music, guitar, violin, trumpet, piano, letter, number, minute, second, hour, month, year, language, question, answer, picture
""")

RHYMES = [
    words(line)
    for line in """
cat, hat, bat, mat, rat
dog, fog, log, frog, jog
house, mouse, blouse
tree, bee, sea, key, knee
light, night, bright, kite, white
day, play, say, way, grey
moon, spoon, soon, tune, June
rain, train, brain, plane, chain
star, car, far, jar, guitar
blue, shoe, two, zoo, true
bed, red, head, bread, thread
sing, ring, king, wing, spring
cake, lake, snake, make, bake
boat, coat, goat, note, float
ball, wall, tall, fall, small
hand, sand, land, band, stand
book, look, cook, hook, took
bear, chair, hair, pear, square
sun, run, fun, bun, one
snow, go, show, toe, grow
gold, cold, old, hold, told
rose, nose, toes, close, those
pen, ten, hen, men, then
fish, dish, wish
mine, line, nine, fine, wine
sock, clock, rock, lock, block
hill, will, still, fill, mill
street, feet, meet, sweet, seat
flower, power, tower, hour, shower
""".strip().splitlines()
]

MEANINGS = rows("""
a library | a place where people read and borrow books
a bakery | a shop where bread and cakes are made and sold
a hospital | a place where ill and injured people are treated
a museum | a building where interesting things are shown to visitors
an airport | a place where aeroplanes take off and land
an island | a piece of land with water all around it
a desert | a very dry area where little rain falls
a volcano | a mountain with an opening through which hot melted rock can come out
a glacier | a large mass of ice that moves slowly
a harbour | a sheltered place by the sea where ships can stay
a village | a small group of houses in the country
a capital city | the city where the government of a country sits
a dictionary | a book that lists words and explains what they mean
a recipe | a list of ingredients and steps for making a dish
a diary | a book in which you write what happened each day
a biography | the story of a person's life, written by someone else
an autobiography | the story of a person's life, written by that person
a novel | a long made-up story in the form of a book
a poem | a short text in which the sound and rhythm of words matter
a fable | a short story, often with animals, that teaches a lesson
a proverb | a short well-known saying that gives advice
a metaphor | a way of speaking that calls one thing another to show a likeness
a simile | a comparison that uses the word "like" or "as"
a noun | a word for a person, place, thing or idea
a verb | a word for an action or a state
an adjective | a word that describes a noun
an adverb | a word that describes a verb, an adjective or another adverb
a vowel | one of the letters a, e, i, o and u
a synonym | a word that means nearly the same as another word
an antonym | a word that means the opposite of another word
a thermometer | an instrument that measures temperature
a compass | an instrument whose needle points north
a telescope | an instrument that makes far things look nearer
a microscope | an instrument that makes tiny things look larger
a calendar | a table of the days, weeks and months of a year
a century | a period of one hundred years
a decade | a period of ten years
a leap year | a year with 366 days, in which February has 29 days
a prime number | a number greater than 1 that only 1 and itself divide evenly
an even number | a whole number that can be divided by 2 without a remainder
an odd number | a whole number that cannot be divided by 2 evenly
a fraction | a number that tells how many parts of a whole there are
a triangle | a shape with three straight sides
a circle | a round shape whose edge is everywhere equally far from the centre
a cube | a solid shape with six equal square faces
a mammal | an animal that feeds its young with milk
a reptile | a cold-blooded animal with scales, such as a snake or a lizard
an amphibian | an animal that can live in water and on land, such as a frog
an insect | a small animal with six legs
a herbivore | an animal that eats plants
a carnivore | an animal that eats meat
an omnivore | an animal that eats both plants and meat
a predator | an animal that hunts other animals
a habitat | the place where an animal or a plant naturally lives
hibernation | a long winter sleep of some animals
photosynthesis | the way plants use sunlight to make food from water and carbon dioxide
evaporation | the change of a liquid into a gas
gravity | the force that pulls things towards each other, such as us towards the Earth
friction | the force that slows things down when they rub against each other
an atom | one of the tiny building blocks that everything is made of
a molecule | two or more atoms joined together
an orbit | the path of one thing in space around another
a galaxy | a huge group of stars held together by gravity
an eclipse | the moment when one body in space blocks the light of another
a vaccine | a medicine that teaches the body to fight a disease
democracy | a form of government in which the people vote
a republic | a country without a king or queen, led by elected people
a monarchy | a country with a king or queen at its head
inflation | a general rise in prices over time
a budget | a plan for how to spend money
interest on a loan | the money you pay for borrowing money
tax | money that people pay to the state
a password | a secret word that lets you into a computer or an account
an algorithm | a list of steps for solving a problem
a browser | a program for looking at websites
encryption | turning information into a secret code so that others cannot read it
a backup | a copy of your data, kept in case the original is lost
empathy | being able to understand how someone else feels
courage | doing something although you are afraid
patience | being able to wait calmly
honesty | telling the truth and not cheating
gratitude | the feeling of being thankful
""")
"""Term, what it is."""
