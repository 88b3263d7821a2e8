package conversations

// QuestionText is a reviewer's question as the requester reads it. The
// requester's next message is taken as the answer to it.
func QuestionText(question string) string {
	return "The reviewer of your request asks: " + Shown(question) + "\n\nYour next message goes to the reviewer."
}

// TextDropped says that a call of another alternative was left out because one
// alternative is being asked about.
func TextDropped(tool string) string {
	return "I left out a call of " + Shown(tool) + ": only one of the alternatives can be asked about."
}
