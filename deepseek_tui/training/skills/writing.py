"""Short texts of one's own: notes, mails, tips, recipes, small stories and verses, explanations, simple code."""

# Questions and answers are read one a line.
# ruff: noqa: E501

from __future__ import annotations

import random

from deepseek_tui.training.skills import tables_nature as nature
from deepseek_tui.training.skills import tables_words as lexicon
from deepseek_tui.training.skills.style import NUMBER_WORDS, Exchange, a, asked, bullets, cap, pick, sample
from deepseek_tui.training.skills.tables_talk import MEN, NAMES, RELATIVES, WOMEN, relative_name

_REASONS = (
    ("helping me move", "moving house was so much easier with you"), ("the book", "I have started to read it and like it very much"), ("the dinner", "the food was delicious and the evening was lovely"),
    ("the flowers", "they look beautiful on my table"), ("watering my plants", "they all look fresh and green"), ("the advice", "it helped me a lot"), ("the birthday present", "I like it very much"),
    ("looking after my cat", "I could travel without worry"), ("the invitation", "I am looking forward to it"), ("the lift to the station", "I caught my train in time"),
)  # fmt: skip
_LATE = (
    "I will be about ten minutes late, because my bus was delayed",
    "I cannot come today, because I am ill",
    "I have to move our meeting to another day",
    "I forgot your birthday, and I am sorry about it",
    "I would like to meet you on Saturday at three",
    "I cannot find my keys; perhaps I left them at your place",
)


def mail(r: random.Random) -> list[Exchange]:
    to, sender = sample(r, NAMES, 2)
    if r.random() < 0.5:
        reason, more = r.choice(_REASONS)
        question = pick(
            r,
            f"Write a short thank-you note to {to} for {reason}.",
            f"Write a message to {to} to say thank you for {reason}.",
            f"Help me thank {to} for {reason}.",
            f"Write a short mail to {to}: thanks for {reason}. My name is {sender}.",
        )
        sign = sender if "My name" in question else "[Your name]"
        return [
            (
                question,
                f"Dear {to},\n\nthank you very much for {reason}. {cap(more)}.\n\nBest wishes,\n{sign}",
            )
        ]
    what = r.choice(_LATE)
    question = pick(
        r,
        f"Write a short message to {to}: {what}.",
        f"Write an email to {to} saying that {what}.",
        f"Please write to {to} that {what}.",
    )
    return [
        (
            question,
            f"Hi {to},\n\n{what}. {pick(r, 'I hope that is all right for you.', 'Please let me know what you think.', 'Thank you for understanding.')}\n\nBest wishes,\n[Your name]",
        )
    ]


_TIPS: dict[str, tuple[str, ...]] = {
    "sleep better": ("Go to bed at the same time every day.", "Keep your bedroom dark and cool.", "Put your phone away an hour before bed.", "Drink no coffee in the evening.", "Take a short walk during the day."),
    "save money": ("Write down what you spend.", "Make a shopping list and stick to it.", "Cook at home more often.", "Compare prices before you buy.", "Put a little money aside every month."),
    "stay healthy": ("Eat fruit and vegetables every day.", "Drink enough water.", "Move for at least half an hour a day.", "Sleep seven to eight hours.", "Wash your hands before meals."),
    "learn a language": ("Learn a few new words every day.", "Listen to songs and films in the language.", "Speak as often as you can.", "Read short and easy texts.", "Do not be afraid of mistakes."),
    "study for an exam": ("Start early and make a plan.", "Learn in short blocks with breaks.", "Explain the topic in your own words.", "Do old exercises again.", "Sleep well the night before."),
    "save energy at home": ("Turn off lights that you do not need.", "Wash clothes at a low temperature.", "Use LED lamps.", "Turn the heating down at night.", "Unplug devices that you do not use."),
    "save water": ("Take short showers.", "Turn off the tap while you brush your teeth.", "Repair dripping taps.", "Collect rain water for the garden.", "Fill the washing machine before you start it."),
    "make new friends": ("Join a club or a course.", "Smile and say hello.", "Ask people about themselves and listen.", "Invite someone for a coffee.", "Stay in touch with a short message."),
    "reduce stress": ("Take regular breaks.", "Go for a walk outside.", "Breathe slowly and deeply.", "Talk to someone about it.", "Do one thing at a time."),
    "prepare for a job interview": ("Find out about the company.", "Practise answers to common questions.", "Choose clean and tidy clothes.", "Arrive ten minutes early.", "Prepare two questions of your own."),
    "keep a room tidy": ("Put things back after you use them.", "Throw away what you do not need.", "Make your bed every morning.", "Use boxes and shelves.", "Tidy for ten minutes every day."),
    "write a good text": ("Think about what you want to say first.", "Use short sentences.", "Choose simple words.", "Read the text aloud.", "Correct it after a break."),
    "use a strong password": ("Make it at least twelve characters long.", "Mix letters, numbers and signs.", "Do not use your name or birthday.", "Use a different one for each account.", "Let a password manager remember it."),
    "start running": ("Buy good shoes.", "Begin slowly and walk in between.", "Run two or three times a week.", "Drink water afterwards.", "Rest when something hurts."),
    "take care of a dog": ("Walk it several times a day.", "Give it fresh water.", "Feed it at regular times.", "Play with it.", "Take it to the vet once a year."),
    "help the environment": ("Go by bicycle or train.", "Buy things that last.", "Sort your waste.", "Eat less meat.", "Use bags again."),
    "be a good friend": ("Listen carefully.", "Be honest and kind.", "Keep secrets.", "Help when it is needed.", "Say sorry when you were wrong."),
    "pack for a trip": ("Make a list first.", "Choose clothes that go together.", "Roll your clothes to save space.", "Keep your papers at hand.", "Leave room for things you buy."),
}  # fmt: skip


def tips(r: random.Random) -> list[Exchange]:
    goal = r.choice(list(_TIPS))
    count = r.choice([1, 2, 3, 3, 3, 4, 5])
    chosen = sample(r, _TIPS[goal], count)
    if count == 1:
        return [
            (
                asked(
                    r,
                    pick(
                        r,
                        f"Give me one tip to {goal}.",
                        f"What is a good tip to {goal}?",
                        f"Tell me one way to {goal}.",
                    ),
                ),
                chosen[0],
            )
        ]
    how = NUMBER_WORDS[count] if r.random() < 0.7 else str(count)
    question = pick(
        r,
        f"Give me {how} tips to {goal}.",
        f"What are {how} ways to {goal}?",
        f"List {how} tips to {goal}.",
        f"How can I {goal}? Give me {how} tips.",
        f"Name {how} things I can do to {goal}.",
    )
    return [(asked(r, question), bullets(r, chosen))]


def advice(r: random.Random) -> list[Exchange]:
    goal = r.choice(list(_TIPS))
    one, two, three = sample(r, _TIPS[goal], 3)
    found = [
        (
            asked(
                r,
                pick(
                    r,
                    f"How can I {goal}?",
                    f"How do I {goal}?",
                    f"I want to {goal}. What should I do?",
                    f"Can you help me to {goal}?",
                    f"What can I do to {goal}?",
                ),
            ),
            f"{one} {two}",
        )
    ]
    if r.random() < 0.35:
        found.append(
            (
                pick(r, "Anything else?", "What else can I do?", "One more tip, please.", "And what else?"),
                three,
            )
        )
    return found


RECIPES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "a boiled egg": (("an egg", "water"), ("Bring water to the boil.", "Put the egg in carefully.", "Wait five minutes for a soft egg or ten for a hard one.", "Cool it under cold water.")),
    "a cup of tea": (("a tea bag", "water"), ("Boil fresh water.", "Pour it over the tea bag.", "Wait three to five minutes.", "Take out the bag and enjoy.")),
    "pancakes": (("200 g flour", "2 eggs", "400 ml milk", "a pinch of salt"), ("Mix everything to a smooth batter.", "Heat a little butter in a pan.", "Pour in some batter and fry it on both sides.", "Serve with sugar or jam.")),
    "scrambled eggs": (("3 eggs", "a little butter", "salt and pepper"), ("Beat the eggs with salt and pepper.", "Melt the butter in a pan.", "Pour in the eggs and stir slowly.", "Serve when they are just firm.")),
    "a fruit salad": (("an apple", "a banana", "an orange", "some grapes", "lemon juice"), ("Wash and peel the fruit.", "Cut it into small pieces.", "Mix it with a little lemon juice.", "Chill it before you serve it.")),
    "rice": (("1 cup rice", "2 cups water", "salt"), ("Rinse the rice.", "Bring rice, water and salt to the boil.", "Cover it and cook on low heat for 15 minutes.", "Let it rest for five minutes.")),
    "pasta": (("pasta", "plenty of water", "salt"), ("Boil the water and add salt.", "Put in the pasta and stir.", "Cook it as long as the packet says.", "Drain it and serve it with sauce.")),
    "lemonade": (("2 lemons", "1 litre water", "3 spoons sugar"), ("Squeeze the lemons.", "Stir the juice with water and sugar.", "Add ice and serve it cold.")),
    "a cheese sandwich": (("2 slices of bread", "butter", "cheese"), ("Spread butter on the bread.", "Put cheese on one slice.", "Add tomato or salad if you like.", "Close it with the other slice.")),
    "tomato soup": (("1 onion", "500 g tomatoes", "300 ml broth", "salt and pepper"), ("Fry the chopped onion in a little oil.", "Add the tomatoes and the broth.", "Cook it for 15 minutes.", "Blend it and season it.")),
    "mashed potatoes": (("1 kg potatoes", "200 ml milk", "some butter", "salt"), ("Peel the potatoes and boil them for 20 minutes.", "Drain and mash them.", "Stir in warm milk and butter.", "Season with salt.")),
}  # fmt: skip


def recipe(r: random.Random) -> list[Exchange]:
    dish = r.choice(list(RECIPES))
    parts, steps = RECIPES[dish]
    roll = r.randrange(3)
    if roll == 0:
        return [
            (
                asked(
                    r,
                    pick(
                        r,
                        f"What do I need for {dish}?",
                        f"Which ingredients do I need for {dish}?",
                        f"List the ingredients for {dish}.",
                    ),
                ),
                "\n".join(f"- {cap(part)}" for part in parts),
            )
        ]
    question = pick(
        r,
        f"How do I make {dish}?",
        f"How do you make {dish}?",
        f"Tell me how to make {dish}.",
        f"I want to make {dish}. What are the steps?",
        f"Give me a simple recipe for {dish}.",
    )
    return [(asked(r, question), "\n".join(f"{n}. {step}" for n, step in enumerate(steps, 1)))]


_WHO = (
    ("a little mouse named {n}", "mouse"),
    ("a young fox called {n}", "fox"),
    ("a girl named {n}", "girl"),
    ("a boy called {n}", "boy"),
    ("an old sailor named {n}", "sailor"),
    ("a small robot called {n}", "robot"),
    ("a friendly dragon named {n}", "dragon"),
    ("a shy rabbit called {n}", "rabbit"),
)
_WHERE = (
    "at the edge of a forest",
    "in a small village",
    "near the sea",
    "in a house with a blue door",
    "on a quiet farm",
    "high in the mountains",
    "beside a wide river",
)
_PLOTS = (
    ("One morning {n} found a strange key under a stone.", "{n} tried every door, until an old garden gate opened.", "Behind it grew the sweetest apples, and {n} shared them with everyone."),
    ("One evening a small bird with a hurt wing sat at the door.", "{n} gave it water and kept it warm for many days.", "When it could fly again, it came back each morning to sing for {n}."),
    ("{n} was afraid of the dark.", "One night a friend got lost outside, so {n} took a lamp and went to look.", "They came home together, and from then on the dark seemed much smaller."),
    ("{n} wanted to see what lay behind the hill.", "The way was long, but {n} walked on, step by step.", "At the top the whole land lay below, and {n} knew that the walk had been worth it."),
    ("All the others were louder and faster than {n}.", "But when a storm came, {n} stayed calm and led them to a safe place.", "After that, nobody said again that quiet ones are weak."),
    ("{n} planted a tiny seed and waited.", "Nothing happened for a long time, yet {n} watered it every day.", "In spring a flower opened, as bright as the sun."),
)  # fmt: skip


def tale(r: random.Random) -> list[Exchange]:
    who, short = r.choice(_WHO)
    name = r.choice({"girl": WOMEN, "boy": MEN, "sailor": MEN}.get(short, NAMES))
    plot = r.choice(_PLOTS)
    opening = f"Once upon a time, {who.format(n=name)} lived {r.choice(_WHERE)}."
    body = [line.format(n=name) for line in plot]
    question = pick(
        r,
        f"Tell me a short story about {a(short)}.",
        f"Write a short story about {a(short)} called {name}.",
        f"Tell a story about {a(short)} in four sentences.",
        f"Write a very short story with {a(short)}.",
        f"A bedtime story about {a(short)}, please.",
    )
    return [(asked(r, question), " ".join([opening, *body]))]


_VERSES = {
    "the sea": ("The waves come in, the waves go out,", "the gulls above them cry about,", "the sand is warm, the wind is free,", "and so I love to see the sea."),
    "winter": ("The snow lies soft on roof and tree,", "the world is white as it can be,", "we light a lamp, we close the door,", "and wait for spring to come once more."),
    "spring": ("The first green leaf, the first warm day,", "the cold and grey have gone away,", "a bird is singing on the wall,", "and spring is here to greet us all."),
    "a cat": ("My cat sits still upon the chair,", "she licks her paw, she combs her hair,", "she sleeps all day without a care,", "and dreams of mice that are not there."),
    "a friend": ("A friend will laugh, a friend will stay,", "and listen to the things you say,", "and when the road is hard and long,", "a friend will help to make you strong."),
    "the Moon": ("The Moon is round, the Moon is bright,", "it shines upon the town at night,", "it looks at all the roofs below", "and makes the quiet river glow."),
    "rain": ("The rain is tapping on the pane,", "it sings a song, then stops again,", "the garden drinks, the flowers grow,", "and puddles shine along the row."),
    "a tree": ("A tree stands tall beside the lane,", "it does not mind the wind or rain,", "it gives us shade, it gives us air,", "and birds have built their houses there."),
    "books": ("A book can take you far away,", "to other lands on any day,", "you turn a page, you hold your breath,", "you sail with kings and dance with death."),
    "the morning": ("The sun comes up, the night is done,", "the birds are greeting everyone,", "I drink my tea, I start anew,", "the day is fresh, the sky is blue."),
}  # fmt: skip


def verse(r: random.Random) -> list[Exchange]:
    topic = r.choice(list(_VERSES))
    lines = _VERSES[topic]
    if r.random() < 0.3:
        return [
            (
                asked(
                    r,
                    pick(
                        r,
                        f"Write two lines that rhyme about {topic}.",
                        f"A two-line rhyme about {topic}, please.",
                    ),
                ),
                "\n".join((lines[0], lines[1].rstrip(",") + ".")),
            )
        ]
    return [
        (
            asked(
                r,
                pick(
                    r,
                    f"Write a short poem about {topic}.",
                    f"Write a four-line poem about {topic}.",
                    f"A poem about {topic}, please.",
                    f"Can you write a little poem about {topic}?",
                ),
            ),
            "\n".join(lines),
        )
    ]


def use_word(r: random.Random) -> list[Exchange]:
    word, sentence = r.choice((
        ("umbrella", "I took my umbrella because it was raining."), ("library", "She borrows three books from the library every week."), ("mountain", "We climbed the mountain before noon."), ("garden", "The children are playing in the garden."),
        ("happy", "He was happy to see his friends again."), ("quickly", "She quickly closed the window."), ("although", "Although it was late, we stayed a little longer."), ("because", "I stayed at home because I was ill."),
        ("bridge", "The old bridge crosses the river."), ("breakfast", "I had bread and honey for breakfast."), ("teacher", "Our teacher explained it twice."), ("winter", "In winter the lake is frozen."), ("music", "We listened to music all evening."),
        ("dream", "Last night I had a strange dream."), ("window", "A bird is sitting at the window."), ("letter", "He wrote a long letter to his aunt."), ("before", "Wash your hands before you eat."), ("never", "I have never been to Japan."), ("friend", "My best friend lives next door."),
        ("train", "The train arrives at nine."), ("cold", "The water is too cold for swimming."), ("market", "We buy fresh fruit at the market."), ("often", "They often play chess in the evening."), ("island", "A lighthouse stands on the island."), ("borrow", "May I borrow your pencil?"),
    ))  # fmt: skip
    return [
        (
            asked(
                r,
                pick(
                    r,
                    f'Use the word "{word}" in a sentence.',
                    f"Make a sentence with {word}.",
                    f"Write a sentence with the word {word}.",
                    f'Give me an example sentence for "{word}".',
                ),
            ),
            sentence,
        )
    ]


def sentences(r: random.Random) -> list[Exchange]:
    topic = r.choice(list(SENTENCES))
    count = r.choice([1, 2, 3])
    chosen = SENTENCES[topic][:count]
    how = "one sentence" if count == 1 else f"{NUMBER_WORDS[count]} sentences"
    return [
        (
            asked(
                r,
                pick(
                    r,
                    f"Write {how} about {topic}.",
                    f"Describe {topic} in {how}.",
                    f"Tell me {how} about {topic}.",
                    f"{cap(how)} about {topic}, please.",
                ),
            ),
            " ".join(chosen),
        )
    ]


SENTENCES: dict[str, tuple[str, str, str]] = {
    "the sea": ("The sea covers most of our planet.", "Its water is salty and full of life.", "Waves and tides keep it moving all the time."), "dogs": ("Dogs are loyal animals that live with people.", "They need walks, food and company.", "Many of them also work, for example as guide dogs."),
    "cats": ("Cats are quiet animals that sleep a lot.", "They see well in the dark.", "Many people keep them as pets."), "the Sun": ("The Sun is the star at the centre of our solar system.", "It gives us light and warmth.", "Without it there would be no life on Earth."),
    "the Moon": ("The Moon goes around the Earth in about a month.", "It has no air and no weather.", "People walked on it for the first time in 1969."), "trees": ("Trees are tall plants with a trunk of wood.", "They give us shade, fruit and fresh air.", "Some of them become many hundred years old."),
    "bees": ("Bees collect nectar and make honey from it.", "They carry pollen from flower to flower.", "Without them we would have much less fruit."), "winter": ("Winter is the coldest season of the year.", "The days are short and it may snow.", "Many people like to stay inside with a hot drink."),
    "summer": ("Summer is the warmest season.", "The days are long and bright.", "Many people go swimming or travel."), "music": ("Music is made of sounds and rhythm.", "It can make us happy, calm or sad.", "People in all parts of the world sing and play."),
    "reading": ("Reading opens the door to other worlds.", "It teaches new words and ideas.", "You can do it almost anywhere."), "football": ("Football is a game for two teams of eleven players.", "They try to get the ball into the other team's goal.", "It is one of the most popular sports in the world."),
    "bicycles": ("A bicycle has two wheels and is driven with pedals.", "It needs no fuel and makes no noise.", "Riding it is good for your health."), "water": ("Water is a clear liquid that all living things need.", "It freezes at 0 and boils at 100 degrees Celsius.", "Most of the water on Earth is salty."),
    "elephants": ("Elephants are the largest animals on land.", "They use their trunk to drink, smell and grasp.", "They live together in herds."), "friendship": ("Friendship means that people like and trust each other.", "Friends help each other in hard times.", "It needs time, honesty and kindness."),
    "bread": ("Bread is baked from flour, water and usually yeast.", "People have eaten it for thousands of years.", "There are many kinds, both dark and light."), "computers": ("A computer is a machine that works with data.", "It follows programs written by people.", "We use it for work, games and talking to others."),
    "rain": ("Rain is water that falls from clouds.", "Plants need it to grow.", "After it we sometimes see a rainbow."), "school": ("School is the place where children learn.", "They read, write, count and play there.", "Teachers help them with new things."),
}  # fmt: skip

_CODE = (
    ("add two numbers", "def add(a, b):\n    return a + b"), ("multiply two numbers", "def multiply(a, b):\n    return a * b"), ("reverse a string", "def reverse(text):\n    return text[::-1]"), ("find the largest number in a list", "def largest(numbers):\n    return max(numbers)"),
    ("count the vowels in a word", "def count_vowels(word):\n    return sum(letter in \"aeiou\" for letter in word.lower())"), ("check if a number is even", "def is_even(n):\n    return n % 2 == 0"), ("check if a word is a palindrome", "def is_palindrome(word):\n    return word == word[::-1]"),
    ("sum the numbers of a list", "def total(numbers):\n    return sum(numbers)"), ("compute the factorial of a number", "def factorial(n):\n    result = 1\n    for i in range(2, n + 1):\n        result *= i\n    return result"),
    ("compute the average of a list", "def average(numbers):\n    return sum(numbers) / len(numbers)"), ("print the numbers from 1 to 10", "for i in range(1, 11):\n    print(i)"), ("print hello", "print(\"Hello\")"), ("sort a list", "numbers = [3, 1, 2]\nnumbers.sort()\nprint(numbers)"),
    ("read a text file", "with open(\"file.txt\") as file:\n    text = file.read()\nprint(text)"), ("ask for a name and greet", "name = input(\"What is your name? \")\nprint(\"Hello, \" + name)"), ("count the words in a text", "def count_words(text):\n    return len(text.split())"),
)  # fmt: skip
_TERMS = (
    ("a variable", "A variable is a name for a value that a program can use and change."), ("a loop", "A loop repeats a part of a program several times."), ("a function", "A function is a named piece of code that can be called again and again."), ("a list in Python", "A list holds several values in order, for example [1, 2, 3]."),
    ("a string", "A string is a piece of text in a program, written in quotation marks."), ("a bug", "A bug is a mistake in a program."), ("an integer", "An integer is a whole number, such as 7 or -3."), ("a boolean", "A boolean is a value that is either true or false."), ("a comment in code", "A comment is a note for people that the computer ignores. In Python it begins with #."),
)  # fmt: skip


def code(r: random.Random) -> list[Exchange]:
    roll = r.randrange(3)
    if roll == 0:
        term, meaning = r.choice(_TERMS)
        return [
            (
                asked(
                    r,
                    pick(
                        r,
                        f"What is {term}?",
                        f"What is {term} in programming?",
                        f"Explain {term} in one sentence.",
                    ),
                ),
                meaning,
            )
        ]
    if roll == 1:
        x, y = r.randint(1, 9), r.randint(1, 9)
        shown, result = r.choice(
            (
                (f"print({x} + {y})", x + y),
                (f"print({x} * {y})", x * y),
                (f'print(len("{"a" * x}"))', x),
                (f"print(max({x}, {y}))", max(x, y)),
            )
        )
        return [(f"What does this Python code print? {shown}", f"It prints {result}.")]
    task, text = r.choice(_CODE)
    function = "function" if text.startswith("def") else "code"
    return [
        (
            asked(
                r,
                pick(
                    r,
                    f"Write {'a Python function' if function == 'function' else 'Python code'} to {task}.",
                    f"How do I {task} in Python?",
                    f"Show me Python code to {task}.",
                    f"Python code to {task}, please.",
                ),
            ),
            f"```python\n{text}\n```",
        )
    ]


def describe(r: random.Random) -> list[Exchange]:
    """Guessing from a description, and the other way round."""
    tool, use = r.choice(nature.TOOLS)
    term, meaning = r.choice([row for row in lexicon.MEANINGS if row[0].startswith(("a ", "an "))])
    return [r.choice([
        (f"I am thinking of a thing that you use to {use}. What is it?", f"It could be {tool}."),
        (f"Which word do I mean? It is {meaning}.", f"You mean {term}."),
        (f"What do we call {meaning}?", f"We call it {term}."),
    ])]  # fmt: skip


_CONGRATULATE = (
    "Happy birthday, {n}! I wish you a wonderful day and a healthy, happy year.",
    "Dear {n}, all the best on your birthday! May all your wishes come true.",
    "Happy birthday, {n}! Enjoy your day with cake and good friends.",
)


def wish(r: random.Random) -> list[Exchange]:
    relative = r.choice(RELATIVES)
    name = r.choice(relative_name(relative))
    if r.random() < 0.5:
        return [
            (
                asked(
                    r,
                    pick(
                        r,
                        f"Write a birthday wish for my {relative} {name}.",
                        f"Write a short birthday message for {name}.",
                        f"Help me wish {name} a happy birthday.",
                    ),
                ),
                r.choice(_CONGRATULATE).format(n=name),
            )
        ]
    return [
        (
            asked(r, pick(r, f"Write a get-well message for {name}.", f"{name} is ill. What can I write?")),
            f"Dear {name}, I am sorry that you are ill. Get well soon! I am thinking of you.",
        )
    ]


KINDS = {
    "mail": (3, mail), "tips": (4, tips), "advice": (3, advice), "recipe": (2, recipe), "tale": (3, tale), "verse": (1, verse), "use_word": (1, use_word),
    "sentences": (3, sentences), "code": (2, code), "describe": (1, describe), "wish": (1, wish),
}  # fmt: skip
