"""Walls for robots are told from pages, also from those that are about walls."""

import pytest

from plugins.bot_walls import bot_wall

WALLS = [
    ("Just a moment...", "Enable JavaScript and cookies to continue"),
    ("Just a moment...", ""),
    ("Nur einen Moment…", "www.example.org Überprüfung"),
    (
        "Un momento…",
        "www.example.org Verificación de seguridad en curso. Este sitio web utiliza un servicio de "
        "seguridad para protegerse contra los bots maliciosos. Esta página se muestra mientras el sitio "
        "verifica que usted no es un bot. Ray ID: 8f1c2b. Rendimiento y seguridad de Cloudflare",
    ),
    ("Attention Required! | Cloudflare", "Sorry, you have been blocked. You are unable to access example.org"),
    (
        "Attention Required! | Cloudflare",
        "# One more step\n\n## Please complete the security check to access example.org\n\n## Why do I "
        "have to complete a CAPTCHA?\n\nCompleting the CAPTCHA proves you are a human and gives you "
        "temporary access to the web property.\n\n## What can I do to prevent this in the future?\n\nIf "
        "you are on a personal connection, like at home, you can run an anti-virus scan on your device to "
        "make sure it is not infected with malware.\n\nIf you are at an office or shared network, you can "
        "ask the network administrator to run a scan across the network looking for misconfigured or "
        "infected devices.",
    ),
    ("example.org", "Verify you are human by completing the action below. Ray ID: 8f1c"),
    (
        "example.org",
        "# example.org\n\nVerifying you are human. This may take a few seconds.\n\nexample.org needs to "
        "review the security of your connection before proceeding.\n\nWhy am I seeing this page?\n\n"
        "Requests from malicious bots can pose as legitimate traffic. Occasionally, you may see this page "
        "while the site ensures that the connection is secure.",
    ),
    ("example.org", "Checking if the site connection is secure"),
    (
        "example.org | 520",
        "Checking your browser before accessing example.org. This process is automatic. Your browser will "
        "redirect to your requested content shortly. Please allow up to 5 seconds… DDoS protection by "
        "Cloudflare",
    ),
    (
        "example.org",
        "# Sorry, you have been blocked\n\nYou are unable to access example.org\n\n## Why have I been "
        "blocked?\n\nThis website is using a security service to protect itself from online attacks. The "
        "action you just performed triggered the security solution.\n\n## What can I do to resolve "
        "this?\n\nYou can email the site owner to let them know you were blocked. Please include what you "
        "were doing when this page came up and the Cloudflare Ray ID found at the bottom of this page. "
        "Cloudflare Ray ID: 8f1c2b • Your IP: Click to reveal",
    ),
    ("Access Denied", 'You don\'t have permission to access "http://example.org/" on this server. Reference #18.2c5e'),
    (
        "Access to this page has been denied",
        "Access to this page has been denied because we believe you are using automation tools to browse "
        "the website. This may happen as a result of the following: Javascript is disabled or blocked by "
        "an extension (ad blockers for example). Your browser does not support cookies. Please make sure "
        "that Javascript and cookies are enabled on your browser and that you are not blocking them from "
        "loading. Reference ID: #5f1c",
    ),
    ("example.org", "Press & Hold to confirm you are a human (and not a bot). Reference ID 5f1c"),
    ("Robot Check", "Type the characters you see in this image"),
    (
        "Human Verification",
        "JavaScript is disabled. In order to continue, we need to verify that you're not a robot. This "
        "requires JavaScript. Enable JavaScript and then reload the page.",
    ),
    (
        "",
        "Let's confirm you are human. Complete the security check before continuing. This step verifies "
        "that you are not a bot, which helps to protect your account and prevent spam. Begin",
    ),
    ("", "Enter the characters you see below. Sorry, we just need to make sure you’re not a robot."),
    ("Pardon Our Interruption", "As you were browsing something about your browser made us think you were a bot."),
    (
        "example.org",
        "# Pardon Our Interruption\n\nAs you were browsing something about your browser made us think you "
        "were a bot. There are a few reasons this might happen:\n\n- You're a power user moving through "
        "this website with super-human speed.\n- You've disabled cookies in your web browser.\n- A "
        "third-party browser plugin, such as Ghostery or NoScript, is preventing JavaScript from "
        "running.\n\nTo regain access, please make sure that cookies and JavaScript are enabled.",
    ),
    ("", "Request unsuccessful. Incapsula incident ID: 1234-5678"),
    ("Making sure you're not a bot!", "Loading..."),
    (
        "Making sure you're not a bot!",
        "Loading... Why am I seeing this? You are seeing this because the administrator of this website "
        "has set up Anubis to protect the server against the scourge of AI companies aggressively scraping "
        "websites. This can and does cause downtime for the websites, which makes their resources "
        "inaccessible for everyone. Anubis uses a Proof-of-Work scheme in the vein of Hashcash. Please "
        "note that Anubis requires the use of modern JavaScript.",
    ),
    ("Sorry", "Our systems have detected unusual traffic from your computer network."),
    (
        "https://www.example.org/search",
        "About this page\n\nOur systems have detected unusual traffic from your computer network. This "
        "page checks to see if it's really you sending the requests, and not a robot. Why did this "
        "happen?\n\nThis page appears when Google automatically detects requests coming from your computer "
        "network which appear to be in violation of the Terms of Service. The block will expire shortly "
        "after those requests stop. In the meantime, solving the above CAPTCHA will let you continue to "
        "use our services.\n\nThis traffic may have been sent by malicious software, a browser plug-in, or "
        "a script that sends automated requests. If you share your network connection, ask your "
        "administrator for help — a different computer using the same IP address may be responsible. Learn "
        "more\n\nSometimes you may be asked to solve the CAPTCHA if you are using advanced terms that "
        "robots are known to use, or sending requests very quickly.",
    ),
    ("example.org", "Please enable JS and disable any ad blocker. Please solve the CAPTCHA. DataDome"),
    ("Vercel Security Checkpoint", "We're verifying your browser"),
    ("Are you a robot?", "Please confirm you are a human by completing the captcha challenge below."),
    ("Bot Verification", "Verifying that you are not a robot..."),
    (
        "example.org",
        "Please verify you are a human. Access to this page has been denied because we believe you are "
        "using automation tools to browse the website. Powered by PerimeterX, Inc.",
    ),
    ("example.org", "Enable JavaScript and cookies to continue"),
    (
        "Access denied",
        "Error 1020 Ray ID: 8f1c • 2025-01-01. Access denied. What happened? This website is using a "
        "security service to protect itself from online attacks. Performance & security by Cloudflare",
    ),
    (
        "403 Forbidden",
        "Request blocked. We can't connect to the server for this app or website at this time. Your IP has "
        "been blocked. Request ID: abc=",
    ),
    (
        "example.org",
        "Additional security check is required. Why am I seeing this page? The website you are visiting is "
        "protected and accelerated by Imperva. Your computer may have been infected by malware and "
        "therefore flagged by our network. Incident ID: 12-34. Proceed with captcha. Powered by Imperva",
    ),
    (
        "Sucuri WebSite Firewall - Access Denied",
        "Access Denied - Sucuri Website Firewall. If you are the site owner (or you manage this site), "
        "please whitelist your IP or if you think this block is an error please open a support ticket. "
        "Block details: Your IP: 1.2.3.4 Server ID: 1900",
    ),
    ("Security check", "To continue, please confirm that you are not a robot."),
    (
        "example.org",
        "To regain access, please make sure that cookies and JavaScript are enabled before reloading the "
        "page. You have been blocked. Reference #18.2c5eaf",
    ),
    ("example.org", "Checking your browser\n\nPlease complete the captcha to continue"),
    ("", "Please complete the security check to access the website. Cloudflare Ray ID: 1"),
    ("DDoS-Guard", "Checking your browser before accessing example.ru"),
    (
        "example.org",
        "Verify you are human\n\nexample.org needs to review the security of your connection before proceeding.",
    ),
    (
        "Robot or human?",
        "Robot or human?\n\nActivate and hold the button to confirm that you’re human. Thank You! Try a "
        "different method",
    ),
    (
        "Amazon.com",
        "Enter the characters you see below\n\nSorry, we just need to make sure you're not a robot. For "
        "best results, please make sure your browser is accepting cookies. Type the characters you see in "
        "this image:",
    ),
    ("Your Access Has Been Blocked", "Your access to this site has been limited by the site owner"),
    ("example.org", "We have detected suspicious activity from your network. Please solve the captcha to proceed."),
    (
        "Access Denied",
        'Access Denied\n\nYou don\'t have permission to access "http://www.example.com/" on this '
        "server.\n\nReference #18.8e5e1202.1700000000.12345\n\nhttps://errors.edgesuite.net/18.8e5e1202",
    ),
    (
        "example.com",
        "Please verify you are a human\n\nAccess to this page has been denied because we believe you are "
        "using automation tools to browse the website.\n\nReference ID: #a1b2",
    ),
    ("", "# Checking your browser before accessing example.com.\n\nThis process is automatic."),
    (
        "Blocked",
        "You have been blocked. If you think you have been blocked by mistake, contact support. Your IP: "
        "1.2.3.4 Request ID: 01HX23",
    ),
    ("example.com", "Please complete the CAPTCHA below to proceed. This helps us make sure you are not a robot."),
    (
        "Security Check",
        "# Security check\n\nWe have detected unusual activity from your network. To continue, please "
        "confirm you are human.",
    ),
    (
        "example.com",
        "Sorry, you have been blocked\n\nYou are unable to access example.com\n\nCloudflare Ray ID: 8f1c2b3d4e",
    ),
    ("Un instant…", "Vérification de sécurité en cours"),
    (
        "example.com",
        "Please enable cookies.\n\n# One more step\n\n## Please complete the security check to access "
        "example.com\n\nCloudflare Ray ID: 12ab",
    ),
    ("Please Wait... | Cloudflare", "Please turn JavaScript on and reload the page."),
    (
        "Your access to this site has been limited",
        "Your access to this site has been limited by the site owner\n\nYour access to this service has been limited. "
        "(HTTP response code 503)\n\nIf you think you have been blocked in error, contact the owner of this site for "
        "assistance.\n\nIf you are a WordPress user with administrative privileges on this site, please enter your "
        "email address in the box below.\n\nAbout Wordfence\n\nWordfence is a security plugin installed on over 5 "
        "million WordPress sites. You can also read the documentation to learn about Wordfence's blocking tools."
        "\n\nGenerated by Wordfence at Mon, 3 Mar 2025 10:00:00 GMT.",
    ),
    (
        "Blocked",
        "You've been blocked by network security.\n\nTo continue, log in to your Reddit account or use your developer "
        "token\n\nIf you think you've been blocked by mistake, file a ticket below and we'll look into it.",
    ),
    ("example.com", "Please enable JS and disable any ad blocker"),
    ("Security Verification", "Let's do a quick check\nPlease solve this puzzle so we know you are a real person"),
]
PAGES = [
    ("Opening hours", "The library opens at nine."),
    ("Just a moment: a novel", "Chapter one. It was a dark night."),
    ("What is a captcha?", "A captcha tells robots from people. It was invented in 1997."),
    ("IP addresses", "Your IP address is what other computers know you by."),
    ("Cookies", "This site sets one cookie, to remember your language."),
    ("Just a moment...", "An article about walls says: verify you are human. " * 60),
    ("Security", "A security check at the entrance takes five minutes."),
    ("", ""),
    ("Plans", "Daily backups, the Cloudflare CDN, and support 24/7."),
    ("Case study", "From Windows Server 2012 to Azure, with Cloudflare in front. Load times fell by half."),
    ("Resolved: errors", "Incident 4711 of 12 May. A fault at Cloudflare made our site slow. It was mended at 11:05."),
    ("Incident 4711", "Incident ID: 4711. Cloudflare outage: our site was down on 12 May. Everything is back."),
    ("Contact", "Write to hello@example.org. Please fill in the captcha."),
    ("Log in", "User name. Password. Solve the captcha. Forgot your password? Register here."),
    ("Errors", "Error 403: Access denied. Send the request ID 8f31a2 to us when you write."),
    ("Team day", "Please complete the challenge within the hour. Request no 12 is to build a tower."),
    ("Just a moment", "A short film by Ana Ruiz. 12 minutes."),
    ("Are you human?", "Are you human? Or are you dancer? My sign is vital, my hands are cold."),
]
ABOUT_WALLS = [
    (
        "Why sites ask you to prove you are human",
        "Every day people click through millions of captchas. Websites ask you to verify you are human "
        "because bots buy tickets, post spam and guess passwords. Read on to learn how these tests work.",
    ),
    (
        "Fake captcha pages spread malware",
        'By Ana Ruiz, 4 May 2025. Criminals copy the Cloudflare page. "Verify you are human", it says, and '
        "then it asks the victim to paste a command. Researchers at the university warn of it.",
    ),
    (
        "Cloudflare replaces captchas with Turnstile",
        "Cloudflare announced a free alternative to CAPTCHA that anyone can use. It will no longer show "
        "you traffic lights. Visitors need not prove that they are not a robot.",
    ),
    (
        "CAPTCHA settings",
        "# CAPTCHA settings\n\nChoose the provider under Site administration > Security. Enter the site "
        "key and the secret key that you were given by Google or Cloudflare. Guests must complete the "
        "captcha to continue.",
    ),
    (
        "Add reCAPTCHA to a form",
        "The widget shows a box that says `I'm not a robot`. Load the API with a script tag and check the "
        "answer on your server. The widget requires JavaScript. Without it a captcha is not shown.",
    ),
    (
        'How do I get past "Checking your browser before accessing"?',
        "I keep getting Checking your browser before accessing example.org in Firefox. It never ends. I "
        "tried another browser and it works. What can I do?",
    ),
    (
        "Error 1020: access denied",
        "# Error 1020: access denied\n\nVisitors see this error when a firewall rule of Cloudflare blocks "
        "their request. Site owners find the rule by its Ray ID in the dashboard, under Security > Events.",
    ),
    (
        "I cannot log in",
        "Help center > Account. If the login form says that you must verify you are human, wait until the "
        "box turns green. Users of old browsers may have to update. Members can also write to the desk of "
        "the library.",
    ),
    (
        "Contact",
        "# Contact\n\nTown library, 5 Market Square. Phone 555 0101, open from Monday to Friday between "
        "nine and six. Write to us with the form; we answer within two days. Fields with a star are "
        "required. Your name. Your message. Please confirm you are not a robot: what is three plus four?",
    ),
    (
        "Are you human?",
        'A short story by M. Alvarez. The clerk looked up from the counter and smiled. "Everybody asks me '
        'that," said the machine, and went on sorting the letters of the day into the boxes for the '
        "villages up the valley, as it had done each morning since the road was closed.",
    ),
    ("Un instant", "La mer se retire, le sable brille, un enfant court derrière une mouette. Puis tout se tait."),
    (
        "Cloudflare ersetzt Captchas durch Turnstile",
        "Der Dienst von Cloudflare prüft den Browser im Hintergrund. Captchas mit Ampeln und Zebrastreifen "
        "sollen damit verschwinden. Für kleine Seiten bleibt das Angebot kostenlos.",
    ),
    (
        "Unusual traffic from your computer network",
        "# Unusual traffic from your computer network\n\nIf devices on your network seem to be sending "
        'automated traffic to Google, you might see the message "Our systems have detected unusual traffic '
        'from your computer network." Here is what users and administrators of a network can do about it.',
    ),
    (
        "Accessibility of CAPTCHA",
        "Asking people with low vision to complete the CAPTCHA below to continue shuts them out. This "
        "guide shows ways to offer a sound, a question or no test at all, and what WCAG 2.2 says about "
        "each of them.",
    ),
    (
        "Glossary: access denied",
        "Access denied: a server refuses a request. A captcha: a test that a robot fails. Ray ID: the "
        "number that Cloudflare gives to each request.",
    ),
    (
        "Anubis",
        "Anubis is a program that administrators put before a website to keep scrapers out. It shows the "
        "words *Making sure you're not a bot* while the browser solves a puzzle, and requires JavaScript.",
    ),
    (
        "Scraping news",
        "Our crawler stops when a page says it is checking your browser before access. The library handles "
        "DataDome, Akamai and Cloudflare. Install it with pip and set the timeout in seconds.",
    ),
    (
        "ClickFix: the new trick",
        "A page that looks like Cloudflare tells you to press Windows+R. Never do that. A real check only "
        "asks for a click. If you have done it, disconnect the computer and call us.",
    ),
    (
        "Turnstile",
        "Turnstile is Cloudflare's smart CAPTCHA alternative. It can be embedded into any website without "
        "sending traffic through Cloudflare and works without showing a CAPTCHA.",
    ),
    (
        "Troubleshooting",
        "If the page says access denied, turn on JavaScript, clear the cache and reload. If it says that "
        "your IP address was blocked, leave the VPN and try again. The library cannot change this.",
    ),
    (
        "Library e-books: verify you are human",
        "When you open the catalogue from abroad, the publisher may ask you to verify you are human. Tick "
        "the box and wait for five seconds. Then the book opens.",
    ),
    (
        "Form security | Forms for WordPress",
        "Turn on the CAPTCHA field to stop spam. You can choose reCAPTCHA v2, reCAPTCHA v3, hCaptcha or "
        "Cloudflare Turnstile. Each requires JavaScript.",
    ),
    (
        "Cloudflare Ray ID",
        "A Ray ID is an identifier given to every request that goes through Cloudflare. It is shown at the "
        "bottom of error pages and in the CF-Ray header.",
    ),
    (
        "Captcha - Wikipedia",
        "A CAPTCHA is a type of challenge–response test used in computing to determine whether the user is "
        "human. The term was coined in 2003. A common form asks to tell letters; another is a box that "
        "says “I'm not a robot”.",
    ),
    (
        "HTTP 403",
        "403 Forbidden means access denied: the server understood the request but refuses it. Akamai and "
        "Cloudflare answer with it when their firewall takes a request for automated traffic.",
    ),
    (
        "Status: incident",
        "Access was denied to some accounts between 9 and 10 because Cloudflare had an outage. Security "
        "check pages were shown in error. All is well again.",
    ),
    (
        "Sign in",
        "Sign in with your card number. Forgot your PIN? Cookies are disabled in some browsers; enable "
        "cookies to sign in. This page is protected by reCAPTCHA.",
    ),
    (
        "Newsletter",
        "Get our letter once a month. Your e-mail address. Please verify that you are not a robot. Subscribe",
    ),
    (
        "Chapter 4",
        "## Verify you are human\n\nThe box blinked. Nora read it twice and laughed. Outside, the rain had "
        "stopped, and the street was full of small delivery machines going home. She clicked.",
    ),
    (
        "Release notes 4.2",
        "- Checking your browser before redirects is faster now\n- Captcha can be switched off per form\n- "
        "Support ID is shown on error pages",
    ),
    (
        "Test ob Mensch oder Maschine",
        "Das Wort Captcha ist eine Abkürzung. Wer eine Seite öffnet und «I'm not a robot» liest, soll ein "
        "Kästchen anklicken. Cloudflare nennt das Turnstile.",
    ),
    (
        "Privacy",
        "We use Cloudflare to protect the site against automated requests. Cloudflare sets a cookie and "
        "stores your IP address for a day. A captcha may be shown.",
    ),
    (
        "Seguridad",
        'Este portal usa Cloudflare y captcha para evitar bots. Si aparece "Access denied", escriba al '
        "servicio técnico con el Ray ID.",
    ),
    (
        "Ticket shop blocked bots",
        "The festival put a check for robots before its shop. Buyers had to prove they are human, which "
        "took up to a minute. Cloudflare counted two million automated requests within an hour.",
    ),
    ("Captcha", "captcha, noun: a puzzle on a web page that keeps robots out."),
    (
        "Checking your browser",
        "# Checking your browser\n\nThe exam needs Firefox 115 or later. Open the check page, allow the "
        "camera and wait for three green marks. Write to the help desk when one stays red.",
    ),
    (
        "Human verification",
        "Human verification is a step in which a person looks at what a model has labelled. It takes about "
        "a minute a picture and is done in pairs.",
    ),
    (
        "Robots.txt",
        "Automated access is welcome. Please keep to one request a second. If you are blocked, your IP "
        "address is listed for an hour. Cloudflare may show a captcha.",
    ),
    (
        "Cloudflare outage",
        "An outage at Cloudflare this morning left many pages with the message that access is denied. "
        "Service was restored at 10:42. A Ray ID such as 8f1c2b3d helps support to find the cause.",
    ),
    (
        "Vaccination: confirm you are human?",
        "No joke. The form of the health office asks it. Click on the box, choose your doctor and pick a day.",
    ),
    ("Un momento por favor", "Poema. Un momento, por favor, que la tarde se va."),
    (
        "How we keep bots out",
        "We verify you are human with a puzzle. Please complete the captcha to continue to comments.",
    ),
    (
        "Login problems",
        "Please enable cookies. JavaScript is disabled in some school browsers; ask the teacher to turn it "
        "on. Then sign in with the number on your card.",
    ),
]


@pytest.mark.parametrize(("title", "text"), WALLS)
def test_a_wall_is_known(title, text):
    assert bot_wall(title, text)


@pytest.mark.parametrize(("title", "text"), PAGES)
def test_a_page_is_no_wall(title, text):
    assert not bot_wall(title, text)


@pytest.mark.parametrize(("title", "text"), ABOUT_WALLS)
def test_a_short_page_about_walls_is_no_wall(title, text):
    assert not bot_wall(title, text)
