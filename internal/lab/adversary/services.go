package adversary

import "strings"

// serviceNames are services of the trade with their protocol (RFC 2782; names as
// registered with IANA, or as products look for them).
const serviceNames = `
_gc._tcp _kerberos._tcp _kerberos._udp _ldap._tcp _test._tcp _sips._tcp _sip._udp _sip._tcp _aix._tcp _finger._tcp _ftp._tcp _http._tcp
_nntp._tcp _telnet._tcp _whois._tcp _h323cs._tcp _h323cs._udp _h323be._tcp _h323be._udp _h323ls._tcp _h323ls._udp _https._tcp
_sipinternal._tcp _sipinternaltls._tcp _sip._tls _sipfederationtls._tcp _jabber._tcp _xmpp-server._tcp _xmpp-client._tcp _certificates._tcp
_crls._tcp _pgpkeys._tcp _cmp._tcp _svcp._tcp _crl._tcp _ocsp._tcp _smtp._tcp _hkp._tcp _hkps._tcp _jabber._udp _xmpp-server._udp
_xmpp-client._udp _jabber-client._tcp _jabber-client._udp _ldap._tcp.dc._msdcs _ldap._tcp.gc._msdcs _ldap._tcp.pdc._msdcs
_kerberos._tcp.dc._msdcs _kpasswd._tcp _kpasswd._udp _imap._tcp _imaps._tcp _pop3._tcp _pop3s._tcp _submission._tcp _caldav._tcp
_caldavs._tcp _carddav._tcp _carddavs._tcp _autodiscover._tcp _x-puppet._tcp _stun._tcp _stun._udp _ntp._udp _ssh._tcp _vlmcs._tcp
_wpad._tcp _afpovertcp._tcp _kerberos-adm._tcp _turn._tcp _turn._udp _turns._tcp _stuns._tcp _matrix._tcp _mqtt._tcp _minecraft._tcp
_nfs._tcp _smb._tcp _rdp._tcp _vnc._tcp _sftp-ssh._tcp _printer._tcp _ipp._tcp _ipps._tcp _radius._udp _radsec._tcp _syslog._udp
_syslog-tls._tcp _rsync._tcp _git._tcp _svn._tcp _postgresql._tcp _mysql._tcp _mongodb._tcp _etcd-server._tcp _etcd-client._tcp
_consul._tcp _collab-edge._tls _cuplogin._tcp _cisco-uds._tcp _sieve._tcp _dns-sd._udp _dns-llq._udp _dns-update._udp _ceph-mon._tcp
_tftp._udp _snmp._udp _bittorrent-tracker._tcp _ts3._udp _mumble._tcp _rtsp._tcp _webdav._tcp _webdavs._tcp _openpgpkey._tcp
_bgp._tcp _lpr._tcp _telnets._tcp _ircs._tcp _irc._tcp _acme-server._tcp _daap._tcp _nmea._tcp _iscsi._tcp _puppet._tcp _uucp._tcp`

// services are the names of a survey of services: so many real ones, and those that
// the stage adds.
func services(s *Stage) []string {
	list := strings.Fields(serviceNames)
	list = list[:min(s.Count, len(list)):min(s.Count, len(list))]
	for i := range s.Questions {
		list = append(list, s.Questions[i].Name)
	}
	return list
}
