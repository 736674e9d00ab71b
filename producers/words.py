"""The words that made-up users and products are composed of."""

FIRST_NAMES = (
    "Ada", "Amira", "Anton", "Aoife", "Bela", "Bruno", "Carla", "Chidi", "Clara", "Dario", "Dilek", "Edda", "Elif", "Emil",
    "Esther", "Farid", "Femi", "Fiona", "Gita", "Gustav", "Hana", "Henrik", "Ida", "Ilya", "Ines", "Ivo", "Jana", "Jonas",
    "Kaito", "Karim", "Katja", "Lars", "Leila", "Lena", "Luca", "Maja", "Malik", "Marta", "Mateo", "Mei", "Milan", "Nadia",
    "Nils", "Noor", "Olga", "Oskar", "Paula", "Pavel", "Priya", "Rafael", "Ravi", "Rosa", "Samir", "Selma", "Sofia", "Tariq",
    "Thea", "Tomas", "Uma", "Vera", "Viktor", "Wanda", "Yara", "Yusuf",
)  # fmt: skip

LAST_NAMES = (
    "Abbott", "Adeyemi", "Ahlberg", "Arslan", "Bakker", "Baranov", "Becker", "Bianchi", "Castillo", "Chen", "Costa", "Dahl",
    "Danso", "Diaz", "Dubois", "Eriksen", "Farouk", "Fischer", "Fontaine", "Garcia", "Gupta", "Haddad", "Hansen", "Horvat", "Ito",
    "Jansen", "Kaya", "Keller", "Khan", "Kim", "Kowalska", "Kumar", "Larsen", "Lehmann", "Lopez", "Marino", "Mensah", "Meyer",
    "Moreau", "Murphy", "Nakamura", "Novak", "O'Brien", "Okafor", "Olsen", "Park", "Petrov", "Pires", "Quinn", "Rao", "Ricci",
    "Rossi", "Sato", "Schmidt", "Silva", "Singh", "Svoboda", "Tanaka", "Toth", "Vargas", "Virtanen", "Weber", "Yilmaz", "Zhang",
)  # fmt: skip

STREETS = (
    "Acorn Lane", "Alder Street", "Bakery Row", "Beacon Hill", "Birch Avenue", "Bridge Street", "Canal Walk", "Castle Road",
    "Cedar Close", "Chapel Street", "Cherry Garden", "Church Lane", "Cooper's Yard", "Copper Street", "Dock Road", "East Gate",
    "Elm Grove", "Ferry Lane", "Foundry Street", "Garden Path", "Granary Square", "Harbour View", "Hazel Road", "High Street",
    "Ivy Terrace", "Juniper Way", "King's Parade", "Lantern Street", "Linden Avenue", "Maple Drive", "Market Square",
    "Meadow Lane", "Mill Road", "Minster Street", "North Quay", "Oak Avenue", "Orchard Street", "Park Row", "Pine Street",
    "Poplar Road", "Potter's Field", "Quarry Hill", "River Street", "Rose Lane", "School Lane", "Station Road", "Tanner Street",
    "Tower Street", "Vine Street", "Weaver's Court", "Willow Walk",
)  # fmt: skip

TOWNS = (
    ("10115", "Berlin"), ("20095", "Hamburg"), ("80331", "Munich"), ("1010", "Vienna"), ("8001", "Zurich"), ("75011", "Paris"),
    ("69002", "Lyon"), ("1012", "Amsterdam"), ("3011", "Rotterdam"), ("1000", "Brussels"), ("28013", "Madrid"),
    ("08002", "Barcelona"), ("1100-148", "Lisbon"), ("20121", "Milan"), ("00184", "Rome"), ("110 00", "Prague"),
    ("00-001", "Warsaw"), ("1051", "Budapest"), ("10000", "Zagreb"), ("1050", "Copenhagen"), ("0150", "Oslo"),
    ("111 20", "Stockholm"), ("00100", "Helsinki"), ("D02", "Dublin"), ("EH1 1AA", "Edinburgh"), ("M1 1AE", "Manchester"),
    ("BS1 4DJ", "Bristol"), ("34110", "Istanbul"), ("105 57", "Athens"), ("010011", "Bucharest"),
)  # fmt: skip

# What each category sells, and what it may be made of or meant for.
CATEGORIES = {
    "Kitchen": (
        ("Saucepan", "Chopping Board", "Kettle", "Teapot", "Mixing Bowl", "Bread Knife", "Coffee Grinder", "Colander"),
        ("Copper", "Steel", "Beech", "Enamel", "Stoneware", "Cast Iron", "Bamboo", "Glass"),
    ),
    "Garden": (
        ("Trowel", "Watering Can", "Bird House", "Plant Pot", "Pruning Shears", "Rake", "Lantern", "Bench"),
        ("Galvanised", "Terracotta", "Oak", "Folding", "Cedar", "Hand-Forged", "Slate", "Weatherproof"),
    ),
    "Books": (
        ("Atlas", "Cookbook", "Field Guide", "Novel", "Sketchbook", "Travel Diary", "Almanac", "Anthology"),
        ("Illustrated", "Pocket", "Clothbound", "Annotated", "Large-Print", "Collector's", "Bilingual", "Abridged"),
    ),
    "Electronics": (
        ("Headphones", "Desk Lamp", "Keyboard", "Speaker", "Charger", "Radio", "Webcam", "Power Bank"),
        ("Wireless", "Compact", "Solar", "Waterproof", "Studio", "Silent", "Rechargeable", "Ultralight"),
    ),
    "Sports": (
        ("Yoga Mat", "Bicycle Bell", "Rucksack", "Tent", "Running Belt", "Dumbbell", "Water Bottle", "Football"),
        ("Trail", "Training", "Racing", "Insulated", "Non-Slip", "Reflective", "Junior", "Professional"),
    ),
    "Toys": (
        ("Building Blocks", "Jigsaw", "Kite", "Puppet", "Train Set", "Board Game", "Spinning Top", "Marble Run"),
        ("Wooden", "Rainbow", "Magnetic", "Giant", "Classic", "Travel", "Felt", "Musical"),
    ),
    "Clothing": (
        ("Scarf", "Raincoat", "Jumper", "Socks", "Gloves", "Cap", "Dressing Gown", "Belt"),
        ("Merino", "Linen", "Cotton", "Corduroy", "Denim", "Alpaca", "Quilted", "Striped"),
    ),
    "Stationery": (
        ("Fountain Pen", "Notebook", "Pencil Case", "Desk Calendar", "Paper Clips", "Envelope Set", "Ruler", "Ink Bottle"),
        ("Brass", "Recycled", "Leather", "Ruled", "Emerald", "Vintage", "Monogrammed", "Matte"),
    ),
}  # fmt: skip
