"""The words of the corpus, and what its cats and people do: tables, almost no code.

A word has one tag, or two (`AMBIGUOUS`); a phrase belongs to a topic, and is written after a plural subject.
"""

TOPICS = ("FOOD", "BEHAVIOR", "GROOMING", "HEALTH")
TAGS = ("ADJ", "ADP", "ADV", "AUX", "DET", "NOUN", "NUM", "PART", "PRON", "SCONJ", "VERB")  # Universal POS tags


def _listed(text: str) -> tuple[str, ...]:
    """The items of a table that is written as text, with commas."""
    return tuple(" ".join(item.split()) for item in text.split(","))


# --- The words -------------------------------------------------------------------------------------------------------
# Words with two tags: the usual one first. A tagger that looks at the word alone gets the second one wrong.
AMBIGUOUS = {
    "fish": ("NOUN", "VERB"), "treats": ("NOUN", "VERB"), "can": ("AUX", "NOUN"), "cold": ("ADJ", "NOUN"),
    "play": ("NOUN", "VERB"), "licks": ("NOUN", "VERB"), "bites": ("NOUN", "VERB"), "drink": ("NOUN", "VERB"),
    "nap": ("NOUN", "VERB"), "rest": ("VERB", "NOUN"), "sleep": ("NOUN", "VERB"), "scratch": ("VERB", "NOUN"),
    "cough": ("NOUN", "VERB"), "chase": ("VERB", "NOUN"), "check": ("NOUN", "VERB"), "snack": ("VERB", "NOUN"),
    "brush": ("NOUN", "VERB"), "comb": ("NOUN", "VERB"), "clean": ("VERB", "ADJ"), "dry": ("VERB", "ADJ"),
    "warm": ("ADJ", "VERB"), "like": ("ADP", "VERB"), "that": ("PRON", "DET"), "to": ("ADP", "PART"),
    "before": ("ADP", "SCONJ"), "after": ("ADP", "SCONJ"), "outside": ("ADV", "ADP"), "wash": ("NOUN", "VERB"),
    "trim": ("NOUN", "VERB"), "help": ("VERB", "NOUN"), "limp": ("VERB", "NOUN"), "hunt": ("NOUN", "VERB"),
    "smell": ("VERB", "NOUN"), "walk": ("NOUN", "VERB"), "look": ("VERB", "NOUN"), "combs": ("NOUN", "VERB"),
    "brushes": ("NOUN", "VERB"), "drinks": ("VERB", "NOUN"), "snacks": ("NOUN", "VERB"), "naps": ("NOUN", "VERB"),
    "checks": ("NOUN", "VERB"), "looks": ("NOUN", "VERB"), "walks": ("NOUN", "VERB"),
}  # fmt: skip

# Nouns with both numbers. Only these are subjects, or stand between a subject and its verb.
CATS = (("cat", "cats"), ("kitten", "kittens"), ("tabby", "tabbies"))
PEOPLE = (("girl", "girls"), ("boy", "boys"), ("child", "children"), ("neighbor", "neighbors"), ("vet", "vets"))
ANIMALS = (("dog", "dogs"), ("bird", "birds"), ("mouse", "mice"))
THINGS = (("house", "houses"), ("tree", "trees"), ("wall", "walls"))

# Verbs: after a plural, after a singular, in the past.
VERBS = tuple(
    tuple(forms.split())
    for forms in _listed("""
        beg begs begged, bite bites bit, bring brings brought, brush brushes brushed, buy buys bought,
        chase chases chased, check checks checked, clean cleans cleaned, climb climbs climbed, comb combs combed,
        come comes came, cook cooks cooked, cough coughs coughed, drink drinks drank, dry dries dried, eat eats ate,
        enjoy enjoys enjoyed, feed feeds fed, feel feels felt, fill fills filled, find finds found,
        finish finishes finished, fish fishes fished, give gives gave, hate hates hated, have has had,
        help helps helped, hide hides hid, hold holds held, hunt hunts hunted, jump jumps jumped, know knows knew,
        lick licks licked, like likes liked, limp limps limped, look looks looked, love loves loved,
        meow meows meowed, nap naps napped, need needs needed, open opens opened, pet pets petted,
        play plays played, purr purrs purred, rest rests rested, run runs ran, scratch scratches scratched,
        see sees saw, shake shakes shook, shine shines shone, sit sits sat, sleep sleeps slept,
        smell smells smelled, snack snacks snacked, sneeze sneezes sneezed, stand stands stood, stay stays stayed,
        steal steals stole, take takes took, throw throws threw, train trains trained, treat treats treated,
        trim trims trimmed, wait waits waited, walk walks walked, want wants wanted, warm warms warmed,
        wash washes washed, watch watches watched, weigh weighs weighed
    """)
)

# Every other word has one tag.
WORDS = {
    "ADJ": "big black busy curious dizzy dusty friendly gray greedy hungry injured kind muddy naughty old playful "
    "quiet shiny sick small sore thirsty weak white young",
    "ADP": "across at behind beside by for from in near of on over through under with",
    "ADV": "again now quietly",
    "AUX": "may will",
    "DET": "a every the these this",
    "NOUN": "ball bath bed bowl chair chicken claws cream day dinner door ears fever floor food fur garden "
    "kitchen leaf meal medicine milk moon morning night nose paw paws pie pill plate pond rug silk soap "
    "sofa spoon string table toy tuna water whiskers wind window wound",
    "NUM": "two three",
    "PRON": "her our their",
    "SCONJ": "while",
}

# --- What is said ----------------------------------------------------------------------------------------------------
# A phrase is written after a plural subject, with "her" for "her" or "their"; a word takes its usual tag,
# or the one written after it. Topics share verbs and nouns: licking a plate, the fur or a wound are three topics.
CATS_DO = {
    "FOOD": _listed("""
        eat, eat fish, eat fish pie, eat chicken, eat dry/ADJ food, eat from the bowl, eat the treats,
        eat like the dog, drink, drink milk, drink warm milk, drink from the bowl, want a drink,
        want to/PART drink/VERB, take two drinks/NOUN of milk, lick the plate, lick the spoon, lick the cream,
        give the plate two licks, take two licks of cream, take three bites of fish, bite the chicken,
        steal the fish, steal the treats, steal a can/NOUN of tuna, lick the can/NOUN, snack on tuna, snack on fish,
        beg for a snack/NOUN, like to/PART snack on chicken, want two snacks, steal the snacks, smell fish,
        smell like fish pie, like the smell/NOUN of tuna, want fish, like fish, need water, need food,
        enjoy the cream, finish the meal, find the tuna
    """),
    "BEHAVIOR": _listed("""
        play, play with the ball, play with the brush, play with the spoon, like to/PART play/VERB,
        want to/PART play/VERB, fish, fish in the pond, like to/PART fish/VERB, want to/PART fish/VERB,
        watch the fish, watch the birds, chase the birds, chase the ball, enjoy the chase/NOUN, hunt mice,
        hunt in the garden, enjoy the hunt, hide, hide under the bed, hide behind the plate, nap on the rug,
        nap by the window, take two naps, sleep, sleep on the cold floor, sleep like the dog, scratch the sofa,
        scratch the door, climb the tree, jump over the bowl, run like the wind, run to the door, purr, meow,
        warm the bed, bite the ball, bite the comb, give the ball two bites, lick the window, steal the combs,
        steal the brushes, find the string, want the toy
    """),
    "GROOMING": _listed("""
        lick her paws, lick her fur, give her fur two licks, give her paw three licks, wash, wash her ears,
        wash her paws, like to/PART wash/VERB, want to/PART wash/VERB her fur, need a wash, need a trim,
        clean her claws, clean her fur, clean her whiskers, have clean/ADJ fur, dry her fur, dry her ears,
        have dry/ADJ paws, take a bath, need a bath, want a bath, enjoy a warm bath, finish the bath, need the comb,
        enjoy the comb, need a brush, like the brush, like the brushes, like the soap, hate the soap,
        smell like soap, shine like silk, bite her claws, scratch her muddy fur
    """),
    "HEALTH": _listed("""
        see the vet, need the vet, like the vet, need help/NOUN, rest, rest in bed, rest in the warm bed,
        want to/PART rest, need rest/NOUN, need sleep, need two checks, take the medicine, drink the medicine,
        hate the medicine, smell the medicine, eat the pill, take a pill, steal the pill, find the pill, cough,
        sneeze, have a cough, have a cold/NOUN, have a fever, limp, limp to the bed, have a limp/NOUN,
        limp like the old dog, lick the wound, lick her sore paws, give the wound two licks, wash the wound,
        scratch her sore ears, have a scratch/NOUN on the nose, feel sick, feel dizzy, shake like a leaf
    """),
}
PEOPLE_DO = {
    "FOOD": _listed("""
        feed the cats, feed the kitten, cook fish for the kittens, cook chicken in the kitchen,
        open a can/NOUN of tuna, open a can/NOUN of fish, warm the milk, fill the bowl with food, bring the treats,
        give the cat a drink, give the cat two bites of chicken, watch the cats drink/VERB, buy fish pie for the cat
    """),
    "BEHAVIOR": _listed("""
        play with the cats, play with the kitten, watch the kittens play/VERB, watch the cats fish/VERB,
        watch the cat sleep/VERB, pet the cat, throw the ball for the kittens, chase the kitten, train the cat,
        give the kittens a toy, hide the combs, walk the cat in the garden, take the cat for a walk
    """),
    "GROOMING": _listed("""
        brush the cat, brush the kittens, brush the fur, comb the kitten, comb the fur, wash the cat,
        watch the kittens wash/VERB, dry the cats, dry the kitten, trim the claws, clean the brush, clean the combs,
        buy a brush for the kitten, give the cat a wash, bring the soap
    """),
    "HEALTH": _listed("""
        treat the cat, treat the kittens, check the ears, check the sore paw, give the cat a check,
        give the kittens the pill, weigh the kittens, hold the sick cat, watch the sick kitten rest,
        help the sick cat, clean the wound, dry the wound, bring the medicine
    """),
}

# One early adjective decides the topic, and what follows is neutral.
MOODS = {
    "FOOD": ("hungry", "thirsty", "greedy"),
    "BEHAVIOR": ("playful", "curious", "naughty"),
    "GROOMING": ("muddy", "dusty", "shiny"),
    "HEALTH": ("sick", "weak", "injured"),
}
MOODY = tuple(word for words in MOODS.values() for word in words)
NEUTRAL = _listed("""
        wait, wait by the door, sit near the window, sit on the old chair, stay in the kitchen, stay outside,
        stay outside/ADP the house, look at the moon, look through the window, take a look/NOUN at the moon,
        take two looks at the bird, walk, walk across the garden, walk to the house, take two walks,
        take a walk to the pond, come to the door, stand on the wall, stand behind the tree
    """)
LOOKS = ("old", "young", "small", "big", "black", "white", "gray")  # how cats look
MANNERS = ("kind", "friendly", "busy", "quiet")  # how people are

# Who: "" leaves the plural bare ("Cats purr"); "That cat" makes "that" ambiguous.
DETERMINERS = {
    "one": ("the", "the", "the", "this", "that/DET", "our", "every"),
    "several": ("the", "the", "the", "these", "our", "two", "", "", ""),
}
BETWEEN = ("near", "beside", "behind", "with")
MEET = ("see", "know", "like", "love", "chase", "help")
MODALS = ("can", "may", "will")

# How, where and when: neutral, or with a word that belongs to some topic, so that no single word gives the topic away.
# States go with a time only, and not with "can": no cat can need a bath under the table.
STATES = ("want", "need", "like", "have", "enjoy", "hate", "smell", "feel")
PLACES = _listed("""
        under the table, near that/DET window, on the sofa, in the kitchen, by the door, behind that/DET chair,
        beside the clean/ADJ bowl, near the brush, in the garden, on the cold floor, by the pond, near the warm bed,
        outside, outside/ADP the house, quietly, again, now
    """)
TIMES = _listed("""
        at night, in the morning, every day, before dinner, after a meal, after play, before play, before a walk,
        after two walks, after a nap, before sleep, after a drink, before the wash, after a wash, after the bath,
        after the hunt, before the check
    """)
JOINTS = ("while", "before", "after")

# --- What follows from the tables ------------------------------------------------------------------------------------
PAIRS = CATS + PEOPLE + ANIMALS + THINGS
FORMS = {forms[0]: forms for forms in VERBS}
OTHER_NUMBER = {form: other for many, one, _ in VERBS for form, other in ((many, one), (one, many))}
STEMS = {form: forms[0] for forms in VERBS for form in forms} | {several: one for one, several in PAIRS}
ONE_TAG = (
    {noun: "NOUN" for pair in PAIRS for noun in pair}
    | {form: "VERB" for forms in VERBS for form in forms}
    | {word: tag for tag, words in WORDS.items() for word in words.split()}
)
USUAL = ONE_TAG | {word: tags[0] for word, tags in AMBIGUOUS.items()}
