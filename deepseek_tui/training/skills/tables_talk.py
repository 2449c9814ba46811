"""Things to talk about: topics, tasks, people, occasions, and what belongs to a category."""

# Questions and answers are read one a line.
# ruff: noqa: E501

from __future__ import annotations

from deepseek_tui.training.skills.tables_words import words

WOMEN = words(
    "Anna, Clara, Emma, Grace, Ida, Kate, Maria, Olivia, Rosa, Tina, Wendy, Bella, Diana, Fatima, Hannah, Julia, Lucy, Nina, Priya, Sofia, Uma, Vera, Yuki, Zoe, Dora, Elena, Mia, Lena, Sara, Linda, Jana"
)
MEN = words(
    "Ben, David, Felix, Henry, Jack, Leo, Noah, Paul, Sam, Victor, Carlos, Erik, George, Ivan, Kevin, Marco, Oscar, Ravi, Tom, Will, Ali, Chen, Frank, Liam, Peter, Omar, Max, Theo"
)
NAMES = sorted([*WOMEN, *MEN, "Alex"])
TOPICS = words("""
gravity, photosynthesis, electricity, the water cycle, black holes, volcanoes, earthquakes, rainbows, the seasons, the Moon,
the solar system, dinosaurs, whales, bees, spiders, penguins, wolves, rainforests, deserts, coral reefs, mountains, rivers,
recycling, solar power, climate change, healthy eating, sleep, exercise, vitamins, vaccines, the human heart, the brain,
the internet, computers, robots, artificial intelligence, passwords, programming, Python, video games, mobile phones,
ancient Egypt, ancient Rome, the Vikings, knights and castles, the Renaissance, the Industrial Revolution, democracy,
money, banks, saving money, trains, bicycles, aeroplanes, ships, bridges, the Olympic Games, football, tennis, chess,
swimming, running, yoga, music, the piano, the guitar, painting, poetry, films, theatre, photography, cooking, bread, cheese,
chocolate, tea, coffee, gardening, trees, flowers, cats, dogs, horses, birds, the sea, islands, camping, travel, friendship,
kindness, courage, honesty, patience, teamwork, happiness, stress, time management, learning languages, reading, homework
""")
HOW_TO = words("""
boil an egg, cook rice, make pancakes, bake bread, make tea, peel garlic, keep bread fresh, clean a window, remove a coffee stain,
iron a shirt, sew on a button, water plants, grow tomatoes, repot a plant, fix a flat tyre, tie a tie, pack a suitcase, read a map,
write a letter, write a CV, write a thank-you note, prepare for an interview, make a budget, save money, study for an exam,
remember names, learn new words, fall asleep faster, wake up early, stop hiccups, lower stress, start running, drink more water,
make new friends, start a conversation, say no politely, apologise to a friend, plan a birthday party, set the table, wrap a present,
fold a paper plane, build a snowman, play chess, make a strong password, back up my photos, take a screenshot, take better photos,
learn to swim, ride a bike, train a puppy, clean a fish tank, save electricity, use less plastic, make lemonade, cook pasta
""")
DISHES = words("""
tomato soup, pancakes, vegetable curry, fried rice, omelette, apple pie, banana bread, fruit salad, mashed potatoes, pizza, pasta
with tomato sauce, lentil soup, chicken soup, potato salad, rice pudding, scrambled eggs, garlic bread, chocolate cake, pumpkin soup
""")
CHARACTERS = words("""
a brave mouse, a lost puppy, an old lighthouse keeper, a shy robot, a little dragon, a clever fox, a girl who finds a map,
a boy and his kite, a tired baker, a cat who wants to fly, two neighbours, a young pirate, a lonely star, a talking tree, a kind giant
""")
OCCASIONS = words("""
my mother's birthday, a rainy Sunday, a picnic, a school project, a small garden, a family weekend, a long train journey, a class party,
my best friend's wedding, a free evening, a cheap dinner, a new hobby, a visit to the zoo, a first day at work, a summer holiday
""")
RELATIVES = words(
    "mother, father, sister, brother, grandmother, grandfather, aunt, uncle, cousin, friend, neighbour, teacher, boss"
)
FEELINGS = words("""
I feel sad today., I am so tired., I had a bad day., I am nervous about my exam., I feel lonely., I am stressed., I can't sleep., I am bored.,
I am so happy!, I got a new job!, I passed my exam!, My dog died., I had a fight with my friend., I am angry with my brother., I miss my family.
""")
CODE_TASKS = words("""
add two numbers, reverse a string, find the largest number in a list, count the vowels in a word, check if a number is even,
print the numbers from 1 to 10, sum a list, check if a word is a palindrome, sort a list, read a file, compute a factorial
""")

CATEGORIES: dict[str, list[str]] = {
    name: words(members)
    for name, members in {
        "fruits": "apple, banana, orange, pear, peach, plum, cherry, grape, mango, pineapple, kiwi, melon, lemon, strawberry, raspberry, apricot, fig, papaya",
        "vegetables": "carrot, potato, onion, cabbage, broccoli, spinach, leek, radish, celery, turnip, cauliflower, pea, beetroot, asparagus, lettuce",
        "colours": "red, blue, green, yellow, orange, purple, pink, brown, black, white, grey, turquoise",
        "animals": "dog, cat, horse, cow, sheep, lion, tiger, elephant, giraffe, monkey, bear, wolf, fox, rabbit, mouse, whale, dolphin, kangaroo, zebra, camel",
        "farm animals": "cow, pig, sheep, goat, horse, hen, duck, goose, donkey, turkey",
        "wild animals": "lion, tiger, elephant, giraffe, zebra, wolf, bear, fox, deer, hippo, rhino, leopard, cheetah, crocodile",
        "pets": "dog, cat, hamster, rabbit, guinea pig, goldfish, parrot, budgie, turtle",
        "birds": "eagle, owl, sparrow, robin, pigeon, swan, duck, goose, penguin, parrot, crow, flamingo, peacock, ostrich, stork, woodpecker",
        "insects": "ant, bee, wasp, butterfly, beetle, ladybird, fly, mosquito, dragonfly, grasshopper, moth",
        "sea animals": "whale, dolphin, shark, octopus, squid, crab, lobster, starfish, jellyfish, seal, seahorse",
        "reptiles": "snake, lizard, crocodile, alligator, turtle, tortoise, chameleon, gecko, iguana",
        "trees": "oak, pine, maple, birch, beech, willow, fir, elm, palm, chestnut, ash, cedar",
        "flowers": "rose, tulip, daisy, lily, sunflower, daffodil, orchid, violet, poppy, carnation, lavender, iris",
        "countries in Europe": "France, Germany, Italy, Spain, Portugal, Greece, Poland, Sweden, Norway, Denmark, Austria, Hungary, Belgium, Ireland",
        "countries in Asia": "China, Japan, India, Thailand, Vietnam, Nepal, Malaysia, Indonesia, Pakistan, Mongolia, South Korea, Iran",
        "countries in Africa": "Egypt, Kenya, Nigeria, Morocco, Ghana, Ethiopia, Tanzania, Algeria, Senegal, Uganda, South Africa, Tunisia",
        "countries in South America": "Brazil, Argentina, Chile, Peru, Colombia, Ecuador, Uruguay, Bolivia, Venezuela, Paraguay",
        "capital cities": "Paris, London, Rome, Madrid, Berlin, Vienna, Tokyo, Beijing, Cairo, Ottawa, Lisbon, Athens, Oslo, Dublin, Warsaw, Nairobi, Lima",
        "oceans": "the Pacific Ocean, the Atlantic Ocean, the Indian Ocean, the Arctic Ocean, the Southern Ocean",
        "continents": "Africa, Antarctica, Asia, Australia, Europe, North America, South America",
        "planets": "Mercury, Venus, Earth, Mars, Jupiter, Saturn, Uranus, Neptune",
        "rivers": "the Nile, the Amazon, the Danube, the Rhine, the Thames, the Mississippi, the Yangtze, the Ganges, the Volga, the Seine, the Congo",
        "mountains": "Mount Everest, Kilimanjaro, Mont Blanc, Mount Fuji, the Matterhorn, K2, Denali, Aconcagua",
        "languages": "English, Spanish, French, German, Italian, Chinese, Japanese, Arabic, Hindi, Russian, Portuguese, Turkish, Dutch, Greek, Swahili",
        "jobs": "teacher, doctor, nurse, baker, farmer, pilot, carpenter, plumber, chef, lawyer, engineer, musician, journalist, firefighter, dentist",
        "sports": "football, tennis, basketball, volleyball, swimming, running, cycling, hockey, golf, rugby, boxing, skiing, rowing, badminton",
        "team sports": "football, basketball, volleyball, hockey, rugby, cricket, baseball, handball, water polo",
        "winter sports": "skiing, snowboarding, ice skating, ice hockey, curling, bobsleigh, biathlon, ski jumping",
        "musical instruments": "piano, guitar, violin, flute, trumpet, drum, cello, clarinet, saxophone, harp, trombone, accordion, oboe",
        "string instruments": "violin, viola, cello, double bass, guitar, harp, banjo, ukulele, lute",
        "wind instruments": "flute, clarinet, oboe, trumpet, trombone, saxophone, bassoon, recorder, tuba",
        "hobbies": "reading, painting, gardening, cooking, chess, photography, knitting, hiking, fishing, dancing, singing, cycling, stamp collecting",
        "school subjects": "mathematics, English, history, geography, biology, physics, chemistry, art, music, sports",
        "pieces of furniture": "table, chair, sofa, bed, desk, wardrobe, bookshelf, armchair, stool, chest of drawers",
        "pieces of clothing": "shirt, trousers, dress, skirt, jacket, coat, sock, shoe, hat, scarf, glove, sweater, belt",
        "vehicles": "car, bus, train, bicycle, motorcycle, lorry, tram, ship, aeroplane, helicopter, tractor, boat",
        "kitchen tools": "knife, fork, spoon, pan, pot, whisk, grater, ladle, sieve, rolling pin, peeler, chopping board",
        "tools": "hammer, saw, screwdriver, drill, pliers, spanner, axe, chisel, file, tape measure",
        "months": "January, February, March, April, May, June, July, August, September, October, November, December",
        "days of the week": "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday",
        "seasons": "spring, summer, autumn, winter",
        "shapes": "circle, square, triangle, rectangle, pentagon, hexagon, oval, star, diamond",
        "parts of the body": "head, arm, leg, hand, foot, knee, elbow, shoulder, back, neck, finger, toe, nose, ear",
        "organs of the body": "heart, lung, brain, liver, kidney, stomach, skin, bladder, spleen, pancreas",
        "metals": "iron, gold, silver, copper, aluminium, lead, tin, zinc, nickel, platinum, titanium",
        "spices": "pepper, cinnamon, paprika, cumin, turmeric, nutmeg, cloves, saffron, ginger, cardamom",
        "herbs": "basil, parsley, mint, thyme, oregano, rosemary, sage, dill, chives, coriander",
        "drinks": "water, milk, tea, coffee, orange juice, apple juice, lemonade, hot chocolate, cola",
        "desserts": "ice cream, apple pie, chocolate cake, cheesecake, pancakes, rice pudding, fruit salad, brownies, tiramisu",
        "dairy products": "milk, cheese, butter, yoghurt, cream, buttermilk, quark",
        "cheeses": "Cheddar, Gouda, Brie, Camembert, mozzarella, feta, Parmesan, Gruyère, Emmental",
        "feelings": "happiness, sadness, anger, fear, surprise, joy, love, pride, shame, envy, hope, boredom",
        "card and board games": "chess, draughts, backgammon, dominoes, poker, bridge, Monopoly, Scrabble, Ludo",
        "programming languages": "Python, Java, C, C++, JavaScript, Ruby, Go, Rust, Swift, Kotlin, Haskell",
        "parts of a computer": "keyboard, mouse, screen, processor, memory, hard drive, graphics card, power supply, fan",
        "gases": "oxygen, nitrogen, hydrogen, helium, carbon dioxide, methane, neon, argon",
        "kinds of weather": "sunshine, rain, snow, hail, fog, wind, storm, thunder and lightning, frost",
        "writers": "William Shakespeare, Jane Austen, Charles Dickens, Mark Twain, Leo Tolstoy, Victor Hugo, Agatha Christie, Franz Kafka",
        "painters": "Leonardo da Vinci, Vincent van Gogh, Pablo Picasso, Claude Monet, Rembrandt, Michelangelo, Frida Kahlo, Salvador Dalí",
        "composers": "Wolfgang Amadeus Mozart, Ludwig van Beethoven, Johann Sebastian Bach, Antonio Vivaldi, Frédéric Chopin, Giuseppe Verdi",
        "scientists": "Albert Einstein, Isaac Newton, Marie Curie, Charles Darwin, Galileo Galilei, Louis Pasteur, Nikola Tesla",
    }.items()
}
"""What is asked for -> members, each right by itself."""


def relative_name(relative: str) -> list[str]:
    """Names that fit "my sister", "my uncle", and so on."""
    if relative in ("mother", "sister", "grandmother", "aunt"):
        return WOMEN
    return MEN if relative in ("father", "brother", "grandfather", "uncle") else NAMES
