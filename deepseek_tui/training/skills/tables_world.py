"""The world: countries, places, people, works. Each line is one fact that a school book would print."""

from __future__ import annotations


def rows(text: str) -> list[tuple[str, ...]]:
    """The lines of `text`, cut at "|"."""
    return [tuple(cell.strip() for cell in line.split("|")) for line in text.strip().splitlines()]


COUNTRIES = rows("""
France | Paris | Europe | French | the euro
Germany | Berlin | Europe | German | the euro
Italy | Rome | Europe | Italian | the euro
Spain | Madrid | Europe | Spanish | the euro
Portugal | Lisbon | Europe | Portuguese | the euro
Greece | Athens | Europe | Greek | the euro
Austria | Vienna | Europe | German | the euro
Ireland | Dublin | Europe | English and Irish | the euro
Finland | Helsinki | Europe | Finnish and Swedish | the euro
Belgium | Brussels | Europe | Dutch, French and German | the euro
the Netherlands | Amsterdam | Europe | Dutch | the euro
Slovakia | Bratislava | Europe | Slovak | the euro
Slovenia | Ljubljana | Europe | Slovene | the euro
Croatia | Zagreb | Europe | Croatian | the euro
Estonia | Tallinn | Europe | Estonian | the euro
Latvia | Riga | Europe | Latvian | the euro
Lithuania | Vilnius | Europe | Lithuanian | the euro
Malta | Valletta | Europe | Maltese and English | the euro
Sweden | Stockholm | Europe | Swedish | the Swedish krona
Norway | Oslo | Europe | Norwegian | the Norwegian krone
Denmark | Copenhagen | Europe | Danish | the Danish krone
Iceland | Reykjavik | Europe | Icelandic | the Icelandic krona
Poland | Warsaw | Europe | Polish | the zloty
Hungary | Budapest | Europe | Hungarian | the forint
Romania | Bucharest | Europe | Romanian | the leu
Serbia | Belgrade | Europe | Serbian | the Serbian dinar
Albania | Tirana | Europe | Albanian | the lek
Ukraine | Kyiv | Europe | Ukrainian | the hryvnia
Switzerland | Bern | Europe | German, French, Italian and Romansh | the Swiss franc
the United Kingdom | London | Europe | English | the pound sterling
the Czech Republic | Prague | Europe | Czech | the Czech koruna
Russia | Moscow | Europe and Asia | Russian | the ruble
Turkey | Ankara | Asia and Europe | Turkish | the Turkish lira
China | Beijing | Asia | Mandarin Chinese | the yuan
Japan | Tokyo | Asia | Japanese | the yen
South Korea | Seoul | Asia | Korean | the won
North Korea | Pyongyang | Asia | Korean | the North Korean won
India | New Delhi | Asia | Hindi and English | the Indian rupee
Pakistan | Islamabad | Asia | Urdu and English | the Pakistani rupee
Nepal | Kathmandu | Asia | Nepali | the Nepalese rupee
Bangladesh | Dhaka | Asia | Bengali | the taka
Thailand | Bangkok | Asia | Thai | the baht
Vietnam | Hanoi | Asia | Vietnamese | the dong
Malaysia | Kuala Lumpur | Asia | Malay | the ringgit
the Philippines | Manila | Asia | Filipino and English | the Philippine peso
Mongolia | Ulaanbaatar | Asia | Mongolian | the tugrik
Iran | Tehran | Asia | Persian | the Iranian rial
Iraq | Baghdad | Asia | Arabic and Kurdish | the Iraqi dinar
Saudi Arabia | Riyadh | Asia | Arabic | the Saudi riyal
Jordan | Amman | Asia | Arabic | the Jordanian dinar
Lebanon | Beirut | Asia | Arabic | the Lebanese pound
Qatar | Doha | Asia | Arabic | the Qatari riyal
Afghanistan | Kabul | Asia | Dari and Pashto | the afghani
Egypt | Cairo | Africa | Arabic | the Egyptian pound
Morocco | Rabat | Africa | Arabic and Berber | the Moroccan dirham
Algeria | Algiers | Africa | Arabic and Berber | the Algerian dinar
Tunisia | Tunis | Africa | Arabic | the Tunisian dinar
Libya | Tripoli | Africa | Arabic | the Libyan dinar
Kenya | Nairobi | Africa | Swahili and English | the Kenyan shilling
Ethiopia | Addis Ababa | Africa | Amharic | the birr
Ghana | Accra | Africa | English | the cedi
Nigeria | Abuja | Africa | English | the naira
Senegal | Dakar | Africa | French | the CFA franc
Uganda | Kampala | Africa | English and Swahili | the Ugandan shilling
Zambia | Lusaka | Africa | English | the kwacha
Zimbabwe | Harare | Africa | English, Shona and others | the Zimbabwe Gold
Angola | Luanda | Africa | Portuguese | the kwanza
Namibia | Windhoek | Africa | English | the Namibian dollar
Rwanda | Kigali | Africa | Kinyarwanda, English and French | the Rwandan franc
Canada | Ottawa | North America | English and French | the Canadian dollar
the United States | Washington, D.C. | North America | English | the US dollar
Mexico | Mexico City | North America | Spanish | the Mexican peso
Cuba | Havana | North America | Spanish | the Cuban peso
Jamaica | Kingston | North America | English | the Jamaican dollar
Costa Rica | San José | North America | Spanish | the colón
Panama | Panama City | North America | Spanish | the balboa and the US dollar
Guatemala | Guatemala City | North America | Spanish | the quetzal
Brazil | Brasília | South America | Portuguese | the real
Argentina | Buenos Aires | South America | Spanish | the Argentine peso
Chile | Santiago | South America | Spanish | the Chilean peso
Peru | Lima | South America | Spanish | the sol
Colombia | Bogotá | South America | Spanish | the Colombian peso
Ecuador | Quito | South America | Spanish | the US dollar
Uruguay | Montevideo | South America | Spanish | the Uruguayan peso
Venezuela | Caracas | South America | Spanish | the bolívar
Paraguay | Asunción | South America | Spanish and Guaraní | the guaraní
Australia | Canberra | Oceania | English | the Australian dollar
New Zealand | Wellington | Oceania | English and Māori | the New Zealand dollar
Fiji | Suva | Oceania | English, Fijian and Hindi | the Fijian dollar
""")
"""Country, capital, continent, main languages, currency."""

CITIES = rows("""
Barcelona | Spain
Seville | Spain
Milan | Italy
Venice | Italy
Florence | Italy
Naples | Italy
Munich | Germany
Hamburg | Germany
Cologne | Germany
Marseille | France
Lyon | France
Nice | France
Manchester | the United Kingdom
Liverpool | the United Kingdom
Edinburgh | the United Kingdom
Glasgow | the United Kingdom
Porto | Portugal
Rotterdam | the Netherlands
Antwerp | Belgium
Geneva | Switzerland
Zurich | Switzerland
Salzburg | Austria
Krakow | Poland
Gothenburg | Sweden
Bergen | Norway
Saint Petersburg | Russia
Istanbul | Turkey
Mumbai | India
Kolkata | India
Karachi | Pakistan
Shanghai | China
Osaka | Japan
Kyoto | Japan
Hiroshima | Japan
Busan | South Korea
Sydney | Australia
Melbourne | Australia
Perth | Australia
Auckland | New Zealand
Toronto | Canada
Vancouver | Canada
Montreal | Canada
New York | the United States
Chicago | the United States
Los Angeles | the United States
San Francisco | the United States
Boston | the United States
Seattle | the United States
Miami | the United States
Houston | the United States
Rio de Janeiro | Brazil
São Paulo | Brazil
Casablanca | Morocco
Alexandria | Egypt
Mombasa | Kenya
Lagos | Nigeria
Cape Town | South Africa
Johannesburg | South Africa
""")
"""City that is no capital, its country."""

LANDMARKS = rows("""
the Eiffel Tower | Paris
the Louvre | Paris
the Colosseum | Rome
Big Ben | London
Tower Bridge | London
the Statue of Liberty | New York
the Empire State Building | New York
Central Park | New York
the Golden Gate Bridge | San Francisco
the White House | Washington, D.C.
the Brandenburg Gate | Berlin
the Acropolis | Athens
the Sagrada Família | Barcelona
the Sydney Opera House | Sydney
the Kremlin | Moscow
the Forbidden City | Beijing
the Hagia Sophia | Istanbul
the Blue Mosque | Istanbul
the Prado museum | Madrid
the Charles Bridge | Prague
the Little Mermaid statue | Copenhagen
the Burj Khalifa | Dubai
the Taj Mahal | Agra in India
Table Mountain | Cape Town
the Christ the Redeemer statue | Rio de Janeiro
the Great Sphinx | Giza in Egypt
the Rialto Bridge | Venice
the Atomium | Brussels
the Rijksmuseum | Amsterdam
the Uffizi Gallery | Florence
""")
"""Sight, where it stands."""

AUTHORS = rows("""
Romeo and Juliet | William Shakespeare | play
Hamlet | William Shakespeare | play
Macbeth | William Shakespeare | play
A Midsummer Night's Dream | William Shakespeare | play
Pride and Prejudice | Jane Austen | novel
Emma | Jane Austen | novel
Oliver Twist | Charles Dickens | novel
A Christmas Carol | Charles Dickens | story
Great Expectations | Charles Dickens | novel
Frankenstein | Mary Shelley | novel
Dracula | Bram Stoker | novel
Moby-Dick | Herman Melville | novel
The Adventures of Tom Sawyer | Mark Twain | novel
Adventures of Huckleberry Finn | Mark Twain | novel
Alice's Adventures in Wonderland | Lewis Carroll | book
Treasure Island | Robert Louis Stevenson | novel
Robinson Crusoe | Daniel Defoe | novel
Gulliver's Travels | Jonathan Swift | novel
The Jungle Book | Rudyard Kipling | book
The Time Machine | H. G. Wells | novel
The War of the Worlds | H. G. Wells | novel
Around the World in Eighty Days | Jules Verne | novel
Twenty Thousand Leagues Under the Seas | Jules Verne | novel
The Three Musketeers | Alexandre Dumas | novel
The Hunchback of Notre-Dame | Victor Hugo | novel
Les Misérables | Victor Hugo | novel
Don Quixote | Miguel de Cervantes | novel
War and Peace | Leo Tolstoy | novel
Anna Karenina | Leo Tolstoy | novel
Crime and Punishment | Fyodor Dostoevsky | novel
The Divine Comedy | Dante Alighieri | poem
Faust | Johann Wolfgang von Goethe | play
The Metamorphosis | Franz Kafka | story
Jane Eyre | Charlotte Brontë | novel
Wuthering Heights | Emily Brontë | novel
Little Women | Louisa May Alcott | novel
The Wonderful Wizard of Oz | L. Frank Baum | book
Peter Pan | J. M. Barrie | play
Pinocchio | Carlo Collodi | book
The Little Prince | Antoine de Saint-Exupéry | book
Nineteen Eighty-Four | George Orwell | novel
Animal Farm | George Orwell | novel
The Hobbit | J. R. R. Tolkien | novel
The Lord of the Rings | J. R. R. Tolkien | novel
Murder on the Orient Express | Agatha Christie | novel
The Old Man and the Sea | Ernest Hemingway | story
The Great Gatsby | F. Scott Fitzgerald | novel
To Kill a Mockingbird | Harper Lee | novel
Pippi Longstocking | Astrid Lindgren | book
The Little Mermaid | Hans Christian Andersen | fairy tale
The Ugly Duckling | Hans Christian Andersen | fairy tale
The Adventures of Sherlock Holmes | Arthur Conan Doyle | book
""")
"""Title, author, kind of work."""

ARTISTS = rows("""
the Mona Lisa | Leonardo da Vinci
The Last Supper | Leonardo da Vinci
The Starry Night | Vincent van Gogh
The Scream | Edvard Munch
Girl with a Pearl Earring | Johannes Vermeer
The Night Watch | Rembrandt
Guernica | Pablo Picasso
The Kiss | Gustav Klimt
The Persistence of Memory | Salvador Dalí
The Birth of Venus | Sandro Botticelli
the ceiling of the Sistine Chapel | Michelangelo
The Great Wave off Kanagawa | Katsushika Hokusai
American Gothic | Grant Wood
""")
"""Painting, painter."""

COMPOSERS = rows("""
The Magic Flute | Wolfgang Amadeus Mozart
The Marriage of Figaro | Wolfgang Amadeus Mozart
Für Elise | Ludwig van Beethoven
the Moonlight Sonata | Ludwig van Beethoven
The Four Seasons | Antonio Vivaldi
the Brandenburg Concertos | Johann Sebastian Bach
Swan Lake | Pyotr Ilyich Tchaikovsky
The Nutcracker | Pyotr Ilyich Tchaikovsky
The Blue Danube | Johann Strauss II
Carmen | Georges Bizet
Aida | Giuseppe Verdi
Messiah | George Frideric Handel
Boléro | Maurice Ravel
Peer Gynt | Edvard Grieg
The Planets | Gustav Holst
Rhapsody in Blue | George Gershwin
""")
"""Piece of music, composer."""

PEOPLE = rows("""
Albert Einstein | a physicist | the theory of relativity
Isaac Newton | a physicist and mathematician | the laws of motion and gravity
Marie Curie | a physicist and chemist | her research on radioactivity
Charles Darwin | a naturalist | the theory of evolution
Galileo Galilei | an astronomer | his observations with the telescope
Nicolaus Copernicus | an astronomer | the idea that the Earth moves around the Sun
Louis Pasteur | a chemist | pasteurization and vaccines
Alexander Fleming | a doctor and scientist | the discovery of penicillin
Nikola Tesla | an inventor | his work on alternating current
Thomas Edison | an inventor | a practical light bulb and the phonograph
Alexander Graham Bell | an inventor | the telephone
Johannes Gutenberg | an inventor | the printing press with movable type
Ada Lovelace | a mathematician | writing one of the first computer programs
Alan Turing | a mathematician | his work on computers and code breaking
Florence Nightingale | a nurse | founding modern nursing
Neil Armstrong | an astronaut | being the first person on the Moon
Yuri Gagarin | a cosmonaut | being the first person in space
Amelia Earhart | a pilot | flying alone across the Atlantic
Marco Polo | a traveller | his journey to China
Christopher Columbus | an explorer | his voyage to the Americas in 1492
Ferdinand Magellan | an explorer | leading the first voyage around the world
Roald Amundsen | an explorer | reaching the South Pole first
Edmund Hillary | a mountaineer | climbing Mount Everest first, with Tenzing Norgay
William Shakespeare | a writer | plays such as Hamlet and Romeo and Juliet
Jane Austen | a writer | novels such as Pride and Prejudice
Charles Dickens | a writer | novels such as Oliver Twist
Mark Twain | a writer | The Adventures of Tom Sawyer
Agatha Christie | a writer | her detective stories
Leonardo da Vinci | an artist and inventor | painting the Mona Lisa
Michelangelo | an artist | painting the ceiling of the Sistine Chapel
Vincent van Gogh | a painter | paintings such as The Starry Night
Pablo Picasso | a painter | starting Cubism
Frida Kahlo | a painter | her self-portraits
Claude Monet | a painter | his paintings of water lilies
Wolfgang Amadeus Mozart | a composer | operas and symphonies
Ludwig van Beethoven | a composer | his nine symphonies
Johann Sebastian Bach | a composer | his church and organ music
Julius Caesar | a Roman general and ruler | conquering Gaul
Cleopatra | a queen of Egypt | being the last ruler of ancient Egypt
Alexander the Great | a king of Macedon | building a huge empire
Napoleon Bonaparte | an emperor of France | his wars across Europe
Abraham Lincoln | a president of the United States | ending slavery there
George Washington | a general and statesman | being the first president of the United States
Nelson Mandela | a president of South Africa | his fight against apartheid
Mahatma Gandhi | a leader of India | peaceful protest for independence
Martin Luther King Jr. | a minister and activist | his speech "I Have a Dream"
Rosa Parks | an activist | refusing to give up her bus seat
Winston Churchill | a British prime minister | leading Britain in the Second World War
Joan of Arc | a French heroine | leading French soldiers against the English
Socrates | a philosopher | teaching by asking questions
Plato | a philosopher | his dialogues and his school in Athens
Aristotle | a philosopher | his writings on logic and nature
Confucius | a philosopher | his teachings on good behaviour
Walt Disney | a film maker | creating Mickey Mouse
Charlie Chaplin | an actor and film maker | his silent comedies
Hans Christian Andersen | a writer | fairy tales such as The Ugly Duckling
Anne Frank | a girl who wrote a diary | the diary she kept while hiding from the Nazis
Gregor Mendel | a monk and scientist | discovering the laws of heredity
Archimedes | a mathematician | discovering the law of buoyancy
Pythagoras | a mathematician | the theorem about right triangles
""")
"""Person, who that was, famous for."""

INVENTIONS = rows("""
the telephone | Alexander Graham Bell
dynamite | Alfred Nobel
the printing press with movable type | Johannes Gutenberg
the phonograph | Thomas Edison
the World Wide Web | Tim Berners-Lee
the mercury thermometer | Daniel Gabriel Fahrenheit
the motor aeroplane | the Wright brothers
the hot-air balloon | the Montgolfier brothers
the electric battery | Alessandro Volta
Braille writing | Louis Braille
the Morse code | Samuel Morse
the diesel engine | Rudolf Diesel
the lightning rod | Benjamin Franklin
the Rubik's Cube | Ernő Rubik
basketball | James Naismith
penicillin as a medicine | Alexander Fleming
the X-ray picture | Wilhelm Röntgen
the periodic table | Dmitri Mendeleev
""")
"""Thing, who invented or discovered it."""

YEARS = rows("""
the First World War begin | 1914
the First World War end | 1918
the Second World War begin | 1939
the Second World War end | 1945
Christopher Columbus reach America | 1492
the first people land on the Moon | 1969
the Berlin Wall fall | 1989
the Titanic sink | 1912
the French Revolution begin | 1789
the United States declare independence | 1776
the first modern Olympic Games take place | 1896
the Berlin Wall go up | 1961
the Great Fire of London happen | 1666
the Battle of Hastings take place | 1066
the Soviet Union end | 1991
the Eiffel Tower open | 1889
the Wright brothers make their first flight | 1903
Nelson Mandela become president of South Africa | 1994
the euro coins and notes come into use | 2002
the Battle of Waterloo take place | 1815
Yuri Gagarin fly into space | 1961
the Suez Canal open | 1869
the Panama Canal open | 1914
""")
"""Event as it follows "did", year."""

RECORDS = rows("""
the highest mountain in the world | Mount Everest
the largest ocean | the Pacific Ocean
the smallest ocean | the Arctic Ocean
the largest continent | Asia
the smallest continent | Australia
the largest country in the world by area | Russia
the smallest country in the world | Vatican City
the largest desert made of sand | the Sahara
the highest mountain in Europe | Mount Elbrus
the highest mountain in Africa | Kilimanjaro
the highest mountain in the Alps | Mont Blanc
the highest mountain in Japan | Mount Fuji
the longest river in South America | the Amazon
the longest river in Africa | the Nile
the longest river in Europe | the Volga
the longest river in China | the Yangtze
the largest island in the world | Greenland
the deepest lake in the world | Lake Baikal
the largest planet in the solar system | Jupiter
the smallest planet in the solar system | Mercury
the planet closest to the Sun | Mercury
the hottest planet in the solar system | Venus
the planet farthest from the Sun | Neptune
the star closest to the Earth | the Sun
the largest animal on Earth | the blue whale
the tallest animal | the giraffe
the fastest land animal | the cheetah
the largest land animal | the African elephant
the largest bird | the ostrich
the smallest bird | the bee hummingbird
the largest big cat | the tiger
the largest organ of the human body | the skin
the longest bone in the human body | the thigh bone
the hardest natural material | diamond
the lightest chemical element | hydrogen
the most common gas in the air | nitrogen
the largest coral reef in the world | the Great Barrier Reef
the deepest part of the ocean | the Mariana Trench
the longest wall in the world | the Great Wall of China
""")
"""Superlative, what holds it."""
