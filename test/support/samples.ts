/** A body, queries that find it and queries that do not. Written for these tests. */
export interface Sample {
  what: string;
  body: string;
  hits: string[];
  misses: string[];
}

export const samples: Sample[] = [
  {
    what: "English: case, inside a word, quoted parts, one letter",
    body: "The Weather in Belfast was  lovely\tyesterday.",
    hits: ["weather", "EATH", "belfast lovely", '"was lovely"', '"lovely yesterday"', "y", "."],
    misses: ["whether", '"weather was"', '"belfast lovely"', "z"],
  },
  {
    what: "French: accents, composed or not",
    body: "Un caf\u00e9 cre\u0300me, Fran\u00e7ois ?",
    hits: ["cafe", "CAFÉ", "café", "cafe\u0301", "crème", "francois", '"café crème"'],
    misses: ["cafes", "thé"],
  },
  {
    what: "German: sharp s and umlauts",
    body: "Die Straße ist groß, die STRASSE auch; ẞ",
    hits: ["strasse", "STRAẞE", "groß", "GROSS", "s", "ist"],
    misses: ["strase", "große"],
  },
  {
    what: "Greek: final sigma, tonos",
    body: "Η ΕΛΛΆΣ και ο Οδυσσέας",
    hits: ["Ελλας", "ελλάσ", "οδυσσεας", "ΟΔΥΣΣΈΑΣ", "ς"],
    misses: ["ελασ"],
  },
  {
    what: "Turkish: dotted and dotless i",
    body: "Işıklı bir İstanbul akşamı",
    hits: ["IŞIKLI", "ışıklı", "istanbul", "İSTANBUL", "aksami"],
    misses: ["ankara"],
  },
  {
    what: "Vietnamese: two marks on a letter",
    body: "Tiếng Việt dễ thương",
    hits: ["tieng", "VIỆT", "viêt", "de thuong"],
    misses: ["tien viet nam"],
  },
  {
    what: "Polish: a letter with a stroke is another letter",
    body: "Łódź leży w Polsce",
    hits: ["łódź", "ŁODZ", "lezy"],
    misses: ["lodz"],
  },
  {
    what: "Russian: й is not и, ё is е",
    body: "Мой чёрный чай стынет",
    hits: ["мой", "МОЙ", "мои\u0306", "черный", "ЧЁРН", "й"],
    misses: ["мои", "чаи", "черныи"],
  },
  {
    what: "Ukrainian: an apostrophe and ї",
    body: "Її сім’я живе в Києві",
    hits: ["її", "ЇЇ", "сім’я", "києв"],
    misses: ["сімя"],
  },
  {
    what: "Arabic: vowel signs, tatweel, forms of alef",
    body: "قَرَأْتُ ٱلْكِتَابَ فِي الـمـكـتـبـة أمس",
    hits: ["قرات", "الكتاب", "المكتبة", "امس", "أَمس", "إمس", "كِتَاب"],
    misses: ["الكتابة"],
  },
  {
    what: "Persian: zero-width non-joiner",
    body: "می\u200cخواهم به خانه بروم",
    hits: ["میخواهم", "می\u200cخواهم", "خانه"],
    misses: ["نمیخواهم"],
  },
  {
    what: "Hebrew: points",
    body: "שָׁלוֹם לְכֻלָּם",
    hits: ["שלום", "שָׁלוֹם", "לכלם"],
    misses: ["שלומ"],
  },
  {
    what: "Hindi: vowels and nukta stay",
    body: "मैं किताब पढ़ता हूँ",
    hits: ["किताब", "पढ़ता", "पढ\u093cता", "ताब"],
    misses: ["कताब", "कीताब"],
  },
  {
    what: "Bengali: vowels in two parts",
    body: "আমি কোথায় যাব",
    hits: ["কোথায়", "ক\u09c7\u09beথায়"],
    misses: ["কেথায়", "কথায়"],
  },
  {
    what: "Tamil",
    body: "நான் தமிழ் பேசுகிறேன்",
    hits: ["தமிழ்", "பேசு"],
    misses: ["தமழ"],
  },
  {
    what: "Thai: no spaces, AM in one or two characters",
    body: "ฉันชอบดื่มน้ำเย็น",
    hits: ["ดื่ม", "น้ำ", "น\u0e49\u0e4d\u0e32", "ชอบ"],
    misses: ["ดม", "นำ"],
  },
  {
    what: "Burmese and Khmer",
    body: "မင်္ဂလာပါ — ខ្ញុំរៀនភាសា",
    hits: ["မင်္ဂလာ", "ភាសា", "រៀន"],
    misses: ["ភស"],
  },
  {
    what: "Japanese: voicing stays, widths do not matter",
    body: "ガラスの靴とＡＢＣ、ｺｰﾋｰを飲んだ",
    hits: ["ガラス", "ｶﾞﾗｽ", "カ\u3099ラス", "abc", "コーヒー", "飲んだ", "靴"],
    misses: ["カラス", "がらす", "コヒ"],
  },
  {
    what: "Chinese: no spaces, a wide space",
    body: "我们明天　去北京看长城。",
    hits: ["明天", "北京", "城", '"明天 去"', "我们 长城"],
    misses: ["天明", "上海"],
  },
  {
    what: "Korean: syllables are whole",
    body: "한국어를 배우고 있어요 ㅋㅋ",
    hits: ["한국", "한국", "배우고", "ㅋ"],
    misses: ["하국", "우곡"],
  },
  {
    what: "Georgian, Armenian, Cherokee: capitals",
    body: "საქართველო Հայաստան և ᏣᎳᎩ",
    hits: ["ᲡᲐᲥᲐᲠᲗᲕᲔᲚᲝ", "հայաստան", "ՀԱՅ", "ԵՒ", "ꮳꮃꭹ"],
    misses: ["ᏣᎩ"],
  },
  {
    what: "Amharic",
    body: "ሰላም ለዓለም፡ደህና",
    hits: ["ሰላም", "ዓለም፡ደህና"],
    misses: ["ሰለም"],
  },
  {
    what: "Emoji, variation selectors, joiners, flags",
    body: "Nice ❤\ufe0f 👍🏽 👨\u200d👩\u200d👧 🇩🇪!",
    hits: ["❤", "❤\ufe0f", "👍", "👍🏽", "👩", "🇩🇪"],
    misses: ["👎", "🇫🇷"],
  },
  {
    what: "Compatibility forms",
    body: "ﬁnd ½ ℌ ㎏ № ①…",
    hits: ["find", "fi", "h", "kg", "NO", "1", "..."],
    misses: ["finder", "2kg"],
  },
  {
    what: "Invisible characters and odd spaces",
    body: "soft\u00adhyphen zero\u200bwidth a\u0085b\u001cc\u2028d",
    hits: ["softhyphen", "zerowidth", '"a b c d"'],
    misses: ['"zero width"', "ab"],
  },
  {
    what: "Signs that query languages know",
    body: "A 5\" disk: 5* (a OR b) AND {x} \\ C++ 100% it's a:b ^~ a_b -no",
    hits: ["5*", "(a", "OR", '5"', "{x}", "\\", "C++", "100%", "it's", "a:b", "^~", "a_b", "-no"],
    misses: ["c*", "a?b", "10_%", "b*", "aXb"],
  },
];
