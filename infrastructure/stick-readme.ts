/** Tells whoever holds a stick what it is and how to check it: the README.txt on it (format §2.1). */

const ENGLISH = `TESTFERRY STICK (English; le français suit)

WHAT THIS IS
This stick carries tests from a central office to a school computer, or the
results back. All contents are encrypted: without the keys of the office or of
the school computer nobody can read them. Nothing here is a program.

WHAT TO DO
Plug the stick into the Testferry computer and start the import there, as the
office has told you. Do not rename, unpack or delete anything on it. If the
import says that something is damaged, copy the named file again, or ask the
office for a new stick.

HOW TO CHECK IT
With Testferry:          testferry bundle verify <this stick>
With common tools, in the folder of a bundle (to-device/... or to-central/...);
take the real name of the file for V.zip:
  1. Is the archive whole?
       unzip -tq V.zip
  2. Are all files in it as they were written?
       mkdir check && unzip -q V.zip -d check && cd check
       sha256sum -c SHA256SUMS
  3. Does it come from the office? You need a file "allowed_signers" with one
     line. Get it from the office, by letter or from its web site. Never take it
     from a stick: whoever forges a stick can forge that line too.
       ssh-keygen -Y verify -f allowed_signers -I central -n testferry-c2d-v1 \\
         -s manifest.json.sig < manifest.json
     For results on their way back write the name of the school computer for
     "central" (it begins with dev_), and testferry-d2c-v1 for testferry-c2d-v1.
     On Windows do this in the Command Prompt, not in PowerShell.
Steps 1 and 2 find damage, not forgery. Only step 3 shows who wrote it.

IF YOU FOUND THIS STICK
Please give it to the nearest school, or to the exam office. You cannot read it,
and it may hold somebody's exam results. Do not open or copy it. Thank you.
`

const FRENCH = `CLÉ TESTFERRY (français)

CE QUE C'EST
Cette clé porte des tests d'un bureau central vers un ordinateur d'école, ou les
résultats en retour. Tout le contenu est chiffré : sans les clés du bureau ou de
l'ordinateur de l'école, personne ne peut le lire. Il n'y a ici aucun programme.

QUE FAIRE
Branchez la clé sur l'ordinateur Testferry et lancez l'importation, comme le
bureau vous l'a indiqué. Ne renommez, n'extrayez et n'effacez rien. Si
l'importation annonce un dommage, copiez de nouveau le fichier nommé, ou demandez
une nouvelle clé au bureau.

COMMENT LA VÉRIFIER
Avec Testferry :         testferry bundle verify <cette clé>
Avec des outils courants, dans le dossier d'un envoi (to-device/... ou
to-central/...) ; mettez le vrai nom du fichier à la place de V.zip :
  1. L'archive est-elle entière ?
       unzip -tq V.zip
  2. Les fichiers sont-ils tels qu'ils ont été écrits ?
       mkdir check && unzip -q V.zip -d check && cd check
       sha256sum -c SHA256SUMS
  3. Vient-elle du bureau ? Il faut un fichier "allowed_signers" d'une ligne.
     Demandez-le au bureau, par lettre ou sur son site. Ne le prenez jamais sur
     une clé : qui falsifie une clé peut aussi falsifier cette ligne.
       ssh-keygen -Y verify -f allowed_signers -I central -n testferry-c2d-v1 \\
         -s manifest.json.sig < manifest.json
     Pour des résultats en retour, mettez le nom de l'ordinateur de l'école (il
     commence par dev_) à la place de "central", et testferry-d2c-v1 à la place
     de testferry-c2d-v1. Sous Windows, utilisez l'invite de commandes, pas
     PowerShell.
Les étapes 1 et 2 trouvent un dommage, pas un faux. Seule l'étape 3 montre qui
l'a écrite.

SI VOUS AVEZ TROUVÉ CETTE CLÉ
Merci de la remettre à l'école la plus proche ou au bureau des examens. Vous ne
pouvez pas la lire, et elle porte peut-être les résultats de quelqu'un. Ne
l'ouvrez pas et ne la copiez pas. Merci.
`

/** With the line ends that every editor shows. */
export const README = `${ENGLISH}\n${FRENCH}`.replaceAll("\n", "\r\n")
