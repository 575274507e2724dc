package node

func InitCommands(Object) []string             { return nil }
func RemoveCommands(Removal, []OSD) []string   { return nil }
func StartCommands([]Daemon) []string          { return nil }
